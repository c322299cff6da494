import { newId, toText } from '../format/id.ts';
import { fromPlain } from './errors.ts';
import type { DownloadJob, FromService, ToService } from './messages.ts';
import type { Serving } from './service.ts';
import { type DownloadProgress, EngineError } from './types.ts';

// The page's side of one download: it hands the job to the service worker, opens the address that the browser saves, and
// notices when the worker is there no more.

/** How long a service worker may take until it knows a job, and then until the browser asks it for the file. */
const FIRST_WORD_MS = 15_000;
/** Pings in a row without a word from the worker after which it is gone; 5 s lie between two. Counted, not timed: a sleeping laptop must not trip it. */
const UNANSWERED = 3;

/** The worker knows nothing of the job: it was ended in between, or has just retired. Another one can be asked. */
export class NotTaken extends EngineError {
  constructor() {
    super('stopped', 'service worker');
  }
}

export interface Page {
  /** Calls whoever is in it every 5 s, also while the page is in the background. */
  readonly ticks: Set<() => void>;
  /** Opens an address without leaving the page; returns what takes it away again. */
  open(url: string): () => void;
  progress(progress: DownloadProgress): void;
  /** Keeps the page from being frozen in the background; returns what ends that. */
  awake(): () => void;
  /** Takes what cancels this download. */
  stoppable(stop: () => void): void;
}

/** Runs one download to its end. Throws EngineError, NotTaken before anything was saved. */
export function save({ worker, scope }: Serving, job: DownloadJob, page: Page): Promise<void> {
  const id = toText(newId());
  const { port1, port2 } = new MessageChannel();
  const post = (message: ToService, transfer: Transferable[] = []): void => worker.postMessage(message, transfer);
  let unanswered = 0;
  const rest = page.awake();
  let close = (): void => {};
  let tick = (): void => {};
  let replaced = (): void => {};
  let timer: ReturnType<typeof setTimeout> | undefined;
  const within = (late: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(late, FIRST_WORD_MS);
  };
  return new Promise<void>((resolve, reject) => {
    const giveUp = (error: EngineError): void => {
      post({ kind: 'cancel', id }); // what may still run must not end as a file after all
      reject(error);
    };
    tick = () => {
      if (unanswered++ >= UNANSWERED) giveUp(new EngineError('stopped', 'service worker'));
      else post({ kind: 'ping', id });
    };
    replaced = () => {
      if (worker.state === 'redundant') giveUp(new EngineError('stopped', 'service worker'));
    };
    worker.addEventListener('statechange', replaced);
    port1.onmessage = ({ data }: MessageEvent<FromService>) => {
      unanswered = 0;
      if (data.kind === 'ready') {
        within(() => giveUp(new EngineError('unsupported', 'service worker')));
        close = page.open(`${scope}download/${id}`);
      } else if (data.kind === 'started') {
        clearTimeout(timer);
        page.ticks.add(tick);
      } else if (data.kind === 'progress') page.progress(data.progress);
      else if (data.kind === 'done') resolve();
      else if (data.kind === 'retired') reject(new NotTaken());
      else if (data.kind === 'error') reject(fromPlain(data.error));
    };
    within(() => giveUp(new NotTaken()));
    page.stoppable(() => post({ kind: 'cancel', id }));
    post({ kind: 'register', id, job }, [port2]);
  }).finally(() => {
    clearTimeout(timer);
    page.ticks.delete(tick);
    worker.removeEventListener('statechange', replaced);
    port1.close();
    close();
    rest();
  });
}

/** A hidden frame: a link with the download attribute is cancelled by Chromium for answers of a service worker. */
export function openFrame(url: string): () => void {
  const frame = document.createElement('iframe');
  frame.hidden = true;
  frame.src = url;
  document.body.append(frame);
  // Removing the frame at once would cancel what the browser is still writing.
  return () => setTimeout(() => frame.remove(), 60_000);
}

/** Chromium freezes pages in the background, but none that holds a lock; without pings it ends a worker after five minutes. */
export function holdLock(): () => void {
  let release = (): void => {};
  const over = new Promise<void>((resolve) => (release = resolve));
  // Where there are no locks, or none to be had, the page is like any other one.
  void navigator.locks?.request(`holdfast-download-${toText(newId())}`, () => over).catch(() => {});
  return release;
}
