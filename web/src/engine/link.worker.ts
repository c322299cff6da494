import { call } from './calls.ts';
import { toPlain } from './errors.ts';
import { lookAt, type OpenedLink, prepare } from './look.ts';
import type { FromLink, ToLink } from './messages.ts';

// The thread that opens links and keeps what opens them.

declare const self: DedicatedWorkerGlobalScope;
const opened = new Map<string, OpenedLink>();
const sessions = new Map<string, { session: string; expires: number }>();
const post = (message: FromLink): void => self.postMessage(message);

/** Pages forward these ticks to the service worker, which dies without them. Timers of pages in the background are slowed, those of workers are not. */
const TICK_MS = 5000;
setInterval(() => post({ kind: 'tick' }), TICK_MS);

/** One session for each link and day: it counts as one download however often it is used. */
async function sessionFor(link: OpenedLink): Promise<string> {
  const known = sessions.get(link.handle);
  if (known && known.expires > Date.now() / 1000 + 60) return known.session;
  const fresh = await call('startSession', { auth: link.auth }, { path: { handle: link.handle } });
  sessions.set(link.handle, fresh);
  return fresh.session;
}

async function answer(message: ToLink): Promise<FromLink> {
  const { id } = message;
  if (message.kind === 'look') {
    const link = await lookAt(message.handle, message.fragment, message.password);
    opened.set(link.view.id, link);
    return { id, kind: 'view', view: link.view };
  }
  const link = opened.get(message.view);
  if (!link) throw new RangeError('a view that was not opened here');
  return { id, kind: 'prepared', job: prepare(link, await sessionFor(link), message.what) };
}

self.addEventListener('message', ({ data }: MessageEvent<ToLink>) => {
  answer(data).then(post, (error: unknown) => post({ id: data.id, kind: 'error', error: toPlain(error) }));
});
