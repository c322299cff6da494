import { parseId } from '../format/id.ts';
import { parseFragment } from '../format/link.ts';
import { call, checkNode } from './calls.ts';
import { fromPlain, linkError } from './errors.ts';
import linkWorkerUrl from './link.worker.ts?worker&url';
import type { FromLink, FromSend, ToLink, ToSend } from './messages.ts';
import { holdLock, NotTaken, openFrame, type Page, save } from './saving.ts';
import sendWorkerUrl from './send.worker.ts?worker&url';
import { service } from './service.ts';
import { sessionToken } from './session.ts';
import { scriptUrl } from './trusted.ts';
import {
  type DownloadProgress,
  type Engine,
  EngineError,
  type LinkView,
  type Place,
  type SendProgress,
  type SendResult,
  type Task,
} from './types.ts';

// The pages' door to the engine: workers are started here and nowhere else.

/** Starts a thread; `failed` hears when it ends by an error. Where its script cannot be had, the event says nothing. */
function startWorker(url: string, failed: (error: EngineError) => void): Worker {
  const worker = new Worker(scriptUrl(url), { type: 'module' });
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    const loaded = event instanceof ErrorEvent && event.message !== '';
    failed(new EngineError(loaded ? 'internal' : 'unreachable', loaded ? 'a thread of this page ended' : ''));
  });
  return worker;
}

let linkWorker: Worker | undefined;
let questions = 0;
const ticks = new Set<() => void>();
const unanswered = new Set<(error: EngineError) => void>();

type Question = { [K in ToLink['kind']]: Omit<Extract<ToLink, { kind: K }>, 'id'> }[ToLink['kind']];

/** Asks the worker that opens links. */
function ask(question: Question): Promise<Exclude<FromLink, { kind: 'tick' | 'error' }>> {
  linkWorker ??= startLinkWorker();
  const worker = linkWorker;
  const id = ++questions;
  return new Promise((resolve, reject) => {
    const listen = ({ data }: MessageEvent<FromLink>): void => {
      if (data.kind === 'tick' || data.id !== id) return;
      worker.removeEventListener('message', listen);
      unanswered.delete(reject);
      if (data.kind === 'error') reject(fromPlain(data.error));
      else resolve(data);
    };
    worker.addEventListener('message', listen);
    unanswered.add(reject);
    worker.postMessage({ ...question, id });
  });
}

function startLinkWorker(): Worker {
  const worker = startWorker(linkWorkerUrl, (error) => {
    worker.terminate();
    linkWorker = undefined; // the next question starts another one
    for (const reject of unanswered) reject(error);
    unanswered.clear();
  });
  worker.addEventListener('message', ({ data }: MessageEvent<FromLink>) => {
    if (data.kind === 'tick') for (const tick of ticks) tick();
  });
  return worker;
}

interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: EngineError) => void;
}

/** Promise.withResolvers, which the type library of this project does not know yet. */
function withResolvers<T>(): Resolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: EngineError) => void = () => {};
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

function send(
  items: Parameters<Engine['send']>[0],
  options: Parameters<Engine['send']>[1],
  onProgress: (p: SendProgress) => void,
): Task<SendResult> {
  const { promise, resolve, reject } = withResolvers<SendResult>();
  const worker = startWorker(sendWorkerUrl, reject);
  const post = (message: ToSend): void => worker.postMessage(message);
  worker.addEventListener('message', ({ data }: MessageEvent<FromSend>) => {
    if (data.kind === 'progress') onProgress(data.progress);
    else if (data.kind === 'result') resolve(data.result);
    else reject(fromPlain(data.error));
  });
  const done = promise.finally(() => worker.terminate());
  // Items may be proxies of the page's state; only plain ones cross to the worker.
  const plain = items.map((item) =>
    'file' in item ? { path: item.path, file: item.file } : { path: item.path, dir: true as const },
  );
  post({ kind: 'start', job: { origin: location.origin, items: plain, options: { ...options } } });
  return { done: done.catch(explained), cancel: () => post({ kind: 'cancel' }) };
}

function download(view: LinkView, what: number | 'all', onProgress: (p: DownloadProgress) => void): Task<void> {
  let stop = (): void => {};
  let cancelled = false;
  let begun = false;
  const page: Page = {
    ticks,
    open: openFrame,
    awake: holdLock,
    progress(progress) {
      begun ||= progress.doneBytes > 0;
      onProgress(progress);
    },
    stoppable: (f) => (stop = f),
  };
  const attempt = async (renew: boolean): Promise<void> => {
    const serving = await service();
    if (cancelled) throw new EngineError('cancelled'); // before it counts as a download
    const prepared = await ask({ kind: 'prepare', view: view.id, what, renew });
    if (prepared.kind !== 'prepared') throw new EngineError('internal');
    if (cancelled) throw new EngineError('cancelled');
    await save(serving, prepared.job, page);
  };
  const done = attempt(false).catch((error: unknown) => {
    const ended = error instanceof EngineError && error.code === 'session-ended';
    // Once, and only before anything was saved.
    if (cancelled || begun || !(ended || error instanceof NotTaken)) throw error;
    return attempt(ended);
  });
  return {
    done: done.catch(explained),
    cancel: () => {
      cancelled = true;
      stop();
    },
  };
}

/** The fleet that this page's policy was made for. */
function fleetOfPage(): string {
  return document.querySelector<HTMLMetaElement>('meta[name=holdfast-fleet]')?.content ?? '';
}

/**
 * When no node can be reached, the reason may be that this page is older than the fleet: its policy then forbids new
 * nodes. People are told to reload instead of to wait.
 */
async function explained(error: unknown): Promise<never> {
  if (error instanceof EngineError && error.code === 'nodes-away') {
    const { fleet } = await call('getInfo', null);
    if (fleet !== fleetOfPage()) throw new EngineError('out-of-date');
  }
  throw error;
}

async function places(nodes: readonly Parameters<typeof checkNode>[0][]): Promise<Place[]> {
  const checked = await Promise.all(nodes.map(checkNode));
  return checked.map((n) => n.place);
}

export const engine: Engine = {
  async info() {
    const info = await call('getInfo', null);
    return { ...info.limits, accepting: info.accepting, places: await places(info.nodes) };
  },
  send,
  async revoke(handle, manageSecret) {
    await call('revokeLink', null, { path: { handle }, secret: manageSecret });
  },
  async parse(handle, fragment) {
    if (fragment === '') throw new EngineError('no-key');
    try {
      const link = await parseFragment(parseId<'handle'>(handle), fragment);
      return { handle, password: link.needsPassword };
    } catch (error) {
      throw linkError(error);
    }
  },
  async look(handle, fragment, password) {
    const session = sessionToken(handle);
    const answer = await ask({ kind: 'look', handle, fragment, password: password ?? null, session });
    if (answer.kind !== 'view') throw new EngineError('internal');
    return answer.view;
  },
  download,
};
