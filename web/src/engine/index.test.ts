import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FromLink, FromService, ToLink, ToService } from './messages.ts';
import { EngineError, type LinkView } from './types.ts';

// The door to the engine: what a download does before it begins, and what it tries once more.

let serving: Promise<unknown>;
vi.mock('./service.ts', () => ({ service: () => serving }));

let asked: ToLink[];
class Opener extends EventTarget {
  postMessage(message: ToLink): void {
    asked.push(message);
    const data: FromLink = {
      id: message.id,
      kind: 'prepared',
      job: { handle: 'h', session: 's', name: 'x', zip: false, folders: [], files: [] },
    };
    queueMicrotask(() => this.dispatchEvent(Object.assign(new Event('message'), { data })));
  }
}

/** Answers each job in turn, in the words given. */
class Service extends EventTarget {
  readonly state = 'activated';
  readonly answers: FromService[][];
  jobs = 0;
  constructor(answers: FromService[][]) {
    super();
    this.answers = answers;
  }
  postMessage(message: ToService, [port]: [MessagePort?] = []): void {
    if (message.kind !== 'register') return;
    for (const answer of this.answers[this.jobs++] ?? []) port?.postMessage(answer);
    port?.close();
  }
}

const view = { id: 'h' } as LinkView;
const ended: FromService = { kind: 'error', error: { code: 'session-ended', detail: '', retryAfter: null } };
const some: FromService = {
  kind: 'progress',
  progress: { totalBytes: 2, doneBytes: 1, bytesPerSecond: 1, secondsLeft: 1 },
};

beforeEach(() => {
  asked = [];
  vi.stubGlobal('navigator', {});
  vi.stubGlobal('Worker', Opener);
  vi.stubGlobal('location', new URL('http://host.test/s/h'));
  vi.stubGlobal('document', {
    createElement: () => ({ remove: () => {} }),
    body: { append: () => {} },
    querySelector: () => null,
  });
});
afterEach(() => vi.unstubAllGlobals());

async function download(answers: FromService[][]): Promise<Service> {
  const service = new Service(answers);
  serving = Promise.resolve({ worker: service, scope: '/sw/v/' });
  const { engine } = await import('./index.ts');
  await engine.download(view, 'all', () => {}).done;
  return service;
}

describe('a download', () => {
  it('that is cancelled while the service worker starts counts as none', async () => {
    let start = (_: unknown): void => {};
    serving = new Promise((resolve) => (start = resolve));
    const { engine } = await import('./index.ts');
    const task = engine.download(view, 'all', () => {});
    task.cancel();
    start({ worker: new Service([]), scope: '/sw/v/' });
    await expect(task.done).rejects.toMatchObject({ code: 'cancelled' });
    expect(asked).toEqual([]);
  });

  it('whose session the server forgot starts it anew, once', async () => {
    await download([[ended], [{ kind: 'ready' }, { kind: 'done' }]]);
    expect(asked.map((m) => m.kind === 'prepare' && m.renew)).toEqual([false, true]);
    await expect(download([[ended], [ended]])).rejects.toMatchObject({ code: 'session-ended' });
  });

  it('that a retired worker does not take goes to the next one', async () => {
    const service = await download([[{ kind: 'retired' }], [{ kind: 'ready' }, { kind: 'done' }]]);
    expect(service.jobs).toBe(2);
    expect(asked.map((m) => m.kind === 'prepare' && m.renew)).toEqual([false, false]);
  });

  it('of which something was saved is not begun a second time', async () => {
    const answers: FromService[][] = [[{ kind: 'ready' }, { kind: 'started' }, some, ended]];
    await expect(download(answers)).rejects.toBeInstanceOf(EngineError);
    expect(asked).toHaveLength(1);
  });
});
