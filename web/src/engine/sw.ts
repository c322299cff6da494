/// <reference lib="webworker" />

import type { FromService, ToService } from './messages.ts';
import { Delivery } from './serving.ts';

// The service worker: it turns a navigation to SCOPE/download/ID into a file that the browser writes to disk while it is
// fetched, checked and decrypted here. Its scope is /sw/VERSION/ alone: a page under a service worker keeps every upload
// body in memory in Chromium, and a worker that another one replaces ends its downloads (docs/decisions/0006-browser-streams.md).
// So it skips no waiting and claims no pages.

declare const self: ServiceWorkerGlobalScope;

const downloads = new Map<string, Delivery>();
/** Whether this version has given up its registration: what begins now begins elsewhere. */
let retired = false;

self.addEventListener('message', (event: ExtendableMessageEvent) => {
  const message = event.data as ToService;
  if (message.kind === 'retire') event.waitUntil(retire());
  else if (message.kind === 'register') register(message, event.ports[0]);
  else if (message.kind === 'ping') downloads.get(message.id)?.ping();
  else if (message.kind === 'cancel') downloads.get(message.id)?.cancel();
});

function register({ id, job }: Extract<ToService, { kind: 'register' }>, port: MessagePort | undefined): void {
  if (!port) return;
  if (retired) {
    port.postMessage({ kind: 'retired' } satisfies FromService);
    return;
  }
  const delivery = new Delivery(job, port);
  downloads.set(id, delivery);
  void delivery.over.then(() => downloads.delete(id));
}

/** Ends this version once no download runs in it: ending a registration ends what it serves. */
async function retire(): Promise<void> {
  if (downloads.size > 0) return;
  retired = true;
  await self.registration.unregister();
}

self.addEventListener('fetch', (event) => {
  const { href } = new URL(event.request.url);
  const below = `${self.registration.scope}download/`;
  if (!href.startsWith(below)) return;
  const delivery = downloads.get(href.slice(below.length));
  const answer = delivery?.answer();
  if (!delivery || !answer) {
    event.respondWith(new Response('This download is over.', { status: 404 }));
    return;
  }
  event.waitUntil(delivery.over);
  event.respondWith(answer);
});
