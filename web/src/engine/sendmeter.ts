import type { Bytes } from '../format/bytes.ts';
import { toText } from '../format/id.ts';
import { Rate, secondsLeft } from './meter.ts';
import type { ProgressNote, SendProgress, Stage } from './types.ts';
import type { UploadEvents } from './upload.ts';

/** Reports are thinned to this distance; screens need no more. */
const REPORT_MS = 250;

/** Adds up a send's progress from what happens to its blobs. */
export class SendMeter implements UploadEvents {
  readonly #files: number;
  readonly #report: (p: SendProgress) => void;
  readonly #rate = new Rate();
  readonly #sentOf = new Map<string, number>();
  readonly #copiesOf = new Map<string, 1 | 2>();
  #total = 0;
  #encrypted = 0;
  #sent = 0;
  #stored1 = 0;
  #stored2 = 0;
  #stage: Stage = 'preparing';
  #note: ProgressNote | undefined;
  #reported = 0;
  #filesDone = 0;

  constructor(files: number, report: (p: SendProgress) => void) {
    this.#files = files;
    this.#report = report;
  }

  start(total: number): void {
    this.#total = total;
    this.#tell(true);
  }

  stage(stage: Stage): void {
    this.#stage = stage;
    this.#tell(true);
  }

  encrypted(bytes: number): void {
    this.#encrypted += bytes;
    if (this.#stage === 'preparing') this.#stage = 'encrypting';
    this.#tell(false);
  }

  sent(blob: Bytes, bytes: number): void {
    const key = toText(blob);
    this.#sent += bytes - (this.#sentOf.get(key) ?? 0);
    this.#sentOf.set(key, bytes);
    this.#stage = 'sending';
    this.#tell(false);
  }

  stored(blob: Bytes, size: number, copies: 1 | 2): void {
    const key = toText(blob);
    const before = this.#copiesOf.get(key) ?? 0;
    if (before < 1) this.#stored1 += size;
    if (before < 2 && copies === 2) this.#stored2 += size;
    this.#copiesOf.set(key, copies);
    if (this.#sent >= this.#total) this.#stage = this.#stored2 < this.#total ? 'stored1' : 'stored2';
    this.#tell(false);
  }

  fileDone(): void {
    this.#filesDone++;
    this.#tell(false);
  }

  /** Time passes without anything happening: rate and time left follow. */
  tick(): void {
    this.#tell(true);
  }

  note(note: ProgressNote | undefined): void {
    this.#note = note;
    this.#tell(true);
  }

  #tell(now: boolean): void {
    const at = performance.now();
    if (!now && at - this.#reported < REPORT_MS) return;
    this.#reported = at;
    const bytesPerSecond = this.#rate.mark(this.#stored2, at);
    this.#report({
      stage: this.#stage,
      totalBytes: this.#total,
      encryptedBytes: this.#encrypted,
      sentBytes: this.#sent,
      stored1Bytes: this.#stored1,
      stored2Bytes: this.#stored2,
      bytesPerSecond,
      secondsLeft: secondsLeft(this.#stored2, this.#total, bytesPerSecond),
      files: this.#files,
      filesDone: this.#filesDone,
      ...(this.#note ? { note: this.#note } : {}),
    });
  }
}
