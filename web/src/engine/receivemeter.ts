import { Rate, secondsLeft } from './meter.ts';
import type { DownloadProgress, ProgressNote } from './types.ts';

/** Reports are thinned to this distance; screens need no more. */
const REPORT_MS = 250;
/** After so long without another one, a failover is no news any more. */
const NEWS_MS = 5000;

/** Adds up a download's progress. Notes and the end are told at once, the rest now and then. */
export class ReceiveMeter {
  readonly #total: number;
  readonly #report: (p: DownloadProgress) => void;
  readonly #rate = new Rate();
  #done = 0;
  #reported = Number.NEGATIVE_INFINITY;
  #note: ProgressNote | undefined;
  #noted = 0;

  constructor(totalBytes: number, report: (p: DownloadProgress) => void) {
    this.#total = totalBytes;
    this.#report = report;
  }

  received(bytes: number): void {
    this.#done += bytes;
    const now = performance.now();
    if (this.#note?.kind === 'failover' && now - this.#noted > NEWS_MS) this.#note = undefined;
    if (now - this.#reported >= REPORT_MS) this.#tell(now);
  }

  note(note: ProgressNote | undefined): void {
    this.#note = note;
    this.#noted = performance.now();
    this.#tell(this.#noted);
  }

  /** What is left to tell before the end is told. */
  end(): void {
    this.#tell(performance.now());
  }

  #tell(now: number): void {
    this.#reported = now;
    const bytesPerSecond = this.#rate.mark(this.#done, now);
    this.#report({
      totalBytes: this.#total,
      doneBytes: this.#done,
      bytesPerSecond,
      secondsLeft: secondsLeft(this.#done, this.#total, bytesPerSecond),
      ...(this.#note ? { note: this.#note } : {}),
    });
  }
}
