import { call } from './calls.ts';
import { toPlain } from './errors.ts';
import { lookAt, type OpenedLink, prepare } from './look.ts';
import type { FromLink, ToLink } from './messages.ts';

// The thread that opens links and keeps what opens them.

declare const self: DedicatedWorkerGlobalScope;
const opened = new Map<string, OpenedLink>();
/** When the sessions end that were started or found running, by handle. */
const running = new Map<string, number>();
const post = (message: FromLink): void => self.postMessage(message);

/** Pages forward these ticks to the service worker, which dies without them. Timers of pages in the background are slowed, those of workers are not. */
const TICK_MS = 5000;
setInterval(() => post({ kind: 'tick' }), TICK_MS);

/**
 * One session for each link, tab and day: it counts as one download however often it is used. Asking again with the same
 * token counts nothing, so that a lost answer or a reload costs no download.
 */
async function startSession(link: OpenedLink, renew: boolean): Promise<void> {
  const ends = renew ? undefined : running.get(link.handle);
  if (ends !== undefined && ends > Date.now() / 1000 + 60) return;
  const { expires } = await call('startSession', { ...link.access }, { path: { handle: link.handle } });
  running.set(link.handle, expires);
}

async function answer(message: ToLink): Promise<FromLink> {
  const { id } = message;
  if (message.kind === 'look') {
    const link = await lookAt(message.handle, message.fragment, message.password, message.session);
    opened.set(link.view.id, link);
    return { id, kind: 'view', view: link.view };
  }
  const link = opened.get(message.view);
  if (!link) throw new RangeError('a view that was not opened here');
  await startSession(link, message.renew);
  return { id, kind: 'prepared', job: prepare(link, message.what) };
}

self.addEventListener('message', ({ data }: MessageEvent<ToLink>) => {
  answer(data).then(post, (error: unknown) => post({ id: data.id, kind: 'error', error: toPlain(error) }));
});
