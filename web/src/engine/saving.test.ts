import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DownloadJob, FromService, ToService } from './messages.ts';
import { holdLock, NotTaken, type Page, save } from './saving.ts';
import type { DownloadProgress } from './types.ts';

// The page's side of a download, with a service worker that the test plays.

/** A service worker as the page sees it. */
class Worker extends EventTarget {
  state = 'activated';
  readonly heard: ToService[] = [];
  port: MessagePort | undefined;
  postMessage(message: ToService, transfer: Transferable[] = []): void {
    this.heard.push(message);
    if (message.kind === 'register') this.port = transfer[0] as MessagePort;
  }
  end(): void {
    this.state = 'redundant';
    this.dispatchEvent(new Event('statechange'));
  }
}

const job: DownloadJob = { handle: 'h', session: 's', name: 'x', zip: false, folders: [], files: [] };
let worker: Worker;
let opened: string[];
let closed: number;
let awake: boolean;
let shown: DownloadProgress[];
let stop: () => void;
let page: Page;
let done: Promise<void>;
let outcome: unknown;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  worker = new Worker();
  opened = [];
  closed = 0;
  awake = false;
  shown = [];
  outcome = 'running';
  page = {
    ticks: new Set(),
    open: (url) => {
      opened.push(url);
      return () => closed++;
    },
    progress: (p) => shown.push(p),
    awake: () => {
      awake = true;
      return () => (awake = false);
    },
    stoppable: (f) => (stop = f),
  };
  done = save({ worker: worker as unknown as ServiceWorker, scope: '/sw/v/' }, job, page);
  done.then(
    () => (outcome = 'done'),
    (error) => (outcome = error),
  );
});
afterEach(() => {
  worker.port?.close();
  vi.useRealTimers();
});

/** What the worker says arrives in a later turn. */
async function says(...messages: FromService[]): Promise<void> {
  for (const message of messages) worker.port?.postMessage(message);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
const tick = (): void => {
  for (const f of page.ticks) f();
};
const progress: DownloadProgress = { totalBytes: 2, doneBytes: 1, bytesPerSecond: 1, secondsLeft: 1 };

describe('a download', () => {
  it('opens its address once the worker knows it, and ends', async () => {
    expect(opened).toEqual([]);
    expect(awake).toBe(true);
    await says({ kind: 'ready' });
    expect(opened).toEqual([expect.stringMatching(/^\/sw\/v\/download\/[\w-]{22}$/)]);
    await says({ kind: 'started' }, { kind: 'progress', progress }, { kind: 'done' });
    expect(shown).toEqual([progress]);
    await done;
    expect(closed).toBe(1);
    expect(awake).toBe(false);
    expect(page.ticks.size).toBe(0);
  });

  it('may be slow once the browser asked for the file, as long as the worker answers', async () => {
    await says({ kind: 'ready' }, { kind: 'started' });
    for (let i = 0; i < 100; i++) {
      tick();
      vi.advanceTimersByTime(5000);
      await says({ kind: 'alive' });
    }
    expect(worker.heard.filter((m) => m.kind === 'ping')).toHaveLength(100);
    expect(outcome).toBe('running');
    await says({ kind: 'done' });
    expect(outcome).toBe('done');
  });

  it('ends when the worker answers no ping any more, and is not saved after that', async () => {
    await says({ kind: 'ready' }, { kind: 'started' }, { kind: 'progress', progress });
    for (let i = 0; i < 3; i++) tick();
    await says();
    expect(outcome).toBe('running');
    tick();
    await expect(done).rejects.toMatchObject({ code: 'stopped' });
    expect(worker.heard.at(-1)?.kind).toBe('cancel');
    expect(page.ticks.size).toBe(0);
  });

  it('ends at once when the worker is replaced', async () => {
    await says({ kind: 'ready' }, { kind: 'started' });
    worker.end();
    await expect(done).rejects.toMatchObject({ code: 'stopped' });
  });

  it('is not taken by a worker that retired, or that says nothing', async () => {
    await says({ kind: 'retired' });
    await expect(done).rejects.toBeInstanceOf(NotTaken);
  });
  it('is not taken by a worker that says nothing', async () => {
    await says();
    vi.advanceTimersByTime(15_000);
    await expect(done).rejects.toBeInstanceOf(NotTaken);
  });

  it('cannot be had where the browser does not ask the worker for it', async () => {
    await says({ kind: 'ready' });
    vi.advanceTimersByTime(15_000);
    await expect(done).rejects.toMatchObject({ code: 'unsupported' });
    expect(worker.heard.at(-1)?.kind).toBe('cancel');
  });

  it('is cancelled by word to the worker', async () => {
    await says({ kind: 'ready' }, { kind: 'started' });
    stop();
    expect(worker.heard.at(-1)?.kind).toBe('cancel');
    await says({ kind: 'error', error: { code: 'cancelled', detail: '', retryAfter: null } });
    await expect(done).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('the lock that keeps a page awake', () => {
  afterEach(() => vi.unstubAllGlobals());
  it('is held until it is given back', async () => {
    let held = 0;
    const request = async (_: string, run: () => Promise<void>): Promise<void> => {
      held++;
      await run();
      held--;
    };
    vi.stubGlobal('navigator', { locks: { request } });
    const rest = holdLock();
    expect(held).toBe(1);
    rest();
    await says();
    expect(held).toBe(0);
  });
  it('is not needed where there is none', () => {
    vi.stubGlobal('navigator', {});
    holdLock()();
  });
});
