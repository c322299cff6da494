import type { Bytes } from '../format/bytes.ts';
import { zipChunks, zipLength } from './archive.ts';
import { asEngineError, Download } from './download.ts';
import { toPlain } from './errors.ts';
import { free, isFirefox } from './memory.ts';
import type { DownloadJob, FromService } from './messages.ts';
import { ReceiveMeter } from './receivemeter.ts';
import { EngineError } from './types.ts';

// One download within the service worker: an answer whose body is fetched, checked and opened while the browser saves it.

/** The page pings every 5 s. */
const TICK_MS = 4000;
const TICKS_ALLOWED = 5;

/**
 * Opened segments that may wait to be taken, so that the browser finds one whenever it comes. In Firefox none: there a
 * segment's memory is freed once it was taken, which shows in the next one being asked for.
 */
const WAITING = 4;

export class Delivery {
  readonly #job: DownloadJob;
  readonly #port: MessagePort;
  readonly #size: number;
  #used = false;
  #ended = false;
  #missed = 0;
  #watch: ReturnType<typeof setInterval> | undefined;
  #download: Download | undefined;
  #controller: ReadableStreamDefaultController<Bytes> | undefined;
  #over: () => void = () => {};
  /** Settles when nothing runs any more. */
  readonly over = new Promise<void>((resolve) => (this.#over = resolve));

  constructor(job: DownloadJob, port: MessagePort) {
    this.#job = job;
    this.#port = port;
    this.#size = job.zip ? zipLength(job) : (job.files[0]?.size ?? 0);
    this.#tell({ kind: 'ready' });
  }

  ping(): void {
    this.#missed = 0;
    this.#tell({ kind: 'alive' });
  }

  cancel(): void {
    this.#fail(new EngineError('cancelled'));
  }

  /** The answer to the browser's request, once; nothing to any further request. */
  answer(): Promise<Response> | undefined {
    if (this.#used || this.#ended) return undefined;
    this.#used = true;
    this.#tell({ kind: 'started' });
    return this.#respond();
  }

  #tell(message: FromService): void {
    this.#port.postMessage(message);
  }

  #finish(message: FromService): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#watch);
    this.#download?.cancel();
    this.#tell(message);
    this.#over();
  }

  /** An errored stream is a failed download: what the browser wrote is not kept under the file's name. */
  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#finish({ kind: 'error', error: toPlain(error) });
    this.#controller?.error(new TypeError('this download failed'));
  }

  async #respond(): Promise<Response> {
    const { files, zip, name } = this.#job;
    const meter = new ReceiveMeter(this.#size, (progress) => this.#tell({ kind: 'progress', progress }));
    try {
      const download = await Download.create(
        this.#job,
        () => meter.note({ kind: 'failover' }),
        (note) => meter.note(note),
      );
      this.#download = download;
      if (this.#ended) throw new EngineError('cancelled');
      // What the server refuses is told before the browser lists a download.
      await download.begin();
      if (this.#ended) throw new EngineError('cancelled');
      const [only] = files;
      const chunks = zip || !only ? zipChunks(this.#job, (file) => download.open(file)) : download.open(only);
      return new Response(this.#stream(chunks, meter), { headers: headers(name, this.#size) });
    } catch (error) {
      this.#fail(asEngineError(error));
      throw error;
    }
  }

  #stream(chunks: AsyncGenerator<Bytes>, meter: ReceiveMeter): ReadableStream<Bytes> {
    if (isFirefox) this.#watchPage();
    let given: Bytes | undefined;
    return new ReadableStream<Bytes>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: async (controller) => {
          try {
            // Whoever pulls has taken all of the chunk before, where none may wait.
            if (given) free(given);
            given = undefined;
            const { done, value } = await chunks.next();
            if (this.#ended) return;
            if (done) {
              controller.close();
              meter.end();
              this.#finish({ kind: 'done' });
              return;
            }
            meter.received(value.length);
            given = value;
            controller.enqueue(value);
          } catch (error) {
            this.#fail(asEngineError(error));
          }
        },
        cancel: () => this.#finish({ kind: 'error', error: toPlain(new EngineError('stopped', 'browser')) }),
      },
      { highWaterMark: isFirefox ? 0 : WAITING },
    );
  }

  /**
   * Firefox ends a service worker after 30 s without events and calls the short file complete, so a download whose page
   * is gone is broken here first. Ticks are counted, not time: a sleeping laptop must not trip it. Chromium may freeze
   * pages, whose pings then stop, and calls no short file complete: there it goes on for as long as the worker is let.
   */
  #watchPage(): void {
    this.#watch = setInterval(() => {
      if (++this.#missed > TICKS_ALLOWED) this.#fail(new EngineError('cancelled', 'the page is gone'));
    }, TICK_MS);
  }
}

/** Always a download, never a document: the name and the type come from whoever sent the file. */
function headers(name: string, size: number): HeadersInit {
  const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const utf8 = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return {
    'Content-Type': 'application/octet-stream',
    'Content-Length': String(size),
    'Content-Disposition': `attachment; filename="${ascii}"; filename*=UTF-8''${utf8}`,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none'; sandbox",
  };
}
