/// <reference lib="webworker" />

import type { Bytes } from '../format/bytes.ts';
import { zipChunks, zipLength } from './archive.ts';
import { asEngineError, Download } from './download.ts';
import { toPlain } from './errors.ts';
import type { DownloadJob, FromService, ToService } from './messages.ts';
import { Rate, secondsLeft } from './meter.ts';

// The service worker: it turns a navigation to /sw/download/ID into a file that the browser writes to disk while it is
// fetched, checked and decrypted here. Its scope is /sw/ alone: a page under a service worker keeps every upload body in
// memory in Chromium (docs/decisions/0006-browser-streams.md).

declare const self: ServiceWorkerGlobalScope;

/** The page pings every 5 s. Firefox ends a service worker after 30 s without events and calls the short file complete, so a download without a page is broken here first. Ticks are counted, not time: a sleeping laptop must not trip it. */
const TICK_MS = 4000;
const TICKS_ALLOWED = 5;
const REPORT_MS = 200;

interface Registered {
  readonly job: DownloadJob;
  readonly port: MessagePort;
  readonly size: number;
  missed: number;
  used: boolean;
  fail: (error: unknown) => void;
}
const downloads = new Map<string, Registered>();

self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('message', (event: ExtendableMessageEvent) => {
  const message = event.data as ToService;
  const known = downloads.get(message.id);
  if (message.kind === 'ping' && known) known.missed = 0;
  else if (message.kind === 'cancel') known?.fail(new DOMException('cancelled', 'AbortError'));
  else if (message.kind === 'register') {
    const port = event.ports[0];
    if (!port) return;
    const { job } = message;
    const size = job.zip ? zipLength(job) : (job.files[0]?.size ?? 0);
    downloads.set(message.id, {
      job,
      port,
      size,
      missed: 0,
      used: false,
      fail: (error) => {
        downloads.delete(message.id);
        tell(port, { kind: 'error', error: toPlain(error) });
      },
    });
    tell(port, { kind: 'ready' });
  }
});

function tell(port: MessagePort, message: FromService): void {
  port.postMessage(message);
}

self.addEventListener('fetch', (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (origin !== self.location.origin || !pathname.startsWith('/sw/download/')) return;
  const id = pathname.slice('/sw/download/'.length);
  const registered = downloads.get(id);
  if (!registered || registered.used) {
    event.respondWith(new Response('This download is over.', { status: 404 }));
    return;
  }
  registered.used = true;
  let over: () => void = () => {};
  event.waitUntil(new Promise<void>((resolve) => (over = resolve)));
  event.respondWith(
    respond(registered, () => {
      downloads.delete(id);
      over();
    }),
  );
});

async function respond(registered: Registered, over: () => void): Promise<Response> {
  const { job, port, size } = registered;
  let note = false;
  let download: Download;
  try {
    download = await Download.create(job, () => (note = true));
  } catch (error) {
    tell(port, { kind: 'error', error: toPlain(error) });
    over();
    throw error;
  }
  const [only] = job.files;
  const chunks = job.zip || !only ? zipChunks(job, (file) => download.open(file)) : download.open(only);
  const report = reporter(port, size, () => note);
  const body = stream(registered, chunks, report, () => {
    download.cancel();
    over();
  });
  return new Response(body, { headers: headers(job.name, size) });
}

function stream(
  registered: Registered,
  chunks: AsyncGenerator<Bytes>,
  report: (n: number) => void,
  end: () => void,
): ReadableStream<Bytes> {
  const { port } = registered;
  let watch = 0;
  let ended = false;
  const finish = (message: FromService): void => {
    if (ended) return;
    ended = true;
    clearInterval(watch);
    tell(port, message);
    end();
  };
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        registered.fail = (error) => {
          if (ended) return;
          finish({ kind: 'error', error: toPlain(error) });
          controller.error(new TypeError('cancelled'));
        };
        watch = self.setInterval(() => {
          if (++registered.missed > TICKS_ALLOWED) registered.fail(new DOMException('the page is gone', 'AbortError'));
        }, TICK_MS);
      },
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (ended) return;
          if (done) {
            controller.close();
            finish({ kind: 'done' });
            return;
          }
          report(value.length);
          controller.enqueue(value);
        } catch (error) {
          // An errored stream is a failed download: what the browser wrote is not kept under the file's name.
          if (ended) return;
          finish({ kind: 'error', error: toPlain(asEngineError(error)) });
          controller.error(new TypeError('a check failed'));
        }
      },
      cancel() {
        finish({ kind: 'error', error: toPlain(new DOMException('cancelled', 'AbortError')) });
      },
    },
    { highWaterMark: 0 },
  );
}

function reporter(port: MessagePort, totalBytes: number, failedOver: () => boolean): (n: number) => void {
  const rate = new Rate();
  let doneBytes = 0;
  let last = 0;
  return (n) => {
    doneBytes += n;
    const now = performance.now();
    if (now - last < REPORT_MS) return;
    last = now;
    const bytesPerSecond = rate.mark(doneBytes, now);
    const progress = {
      totalBytes,
      doneBytes,
      bytesPerSecond,
      secondsLeft: secondsLeft(doneBytes, totalBytes, bytesPerSecond),
    };
    tell(port, { kind: 'progress', progress: failedOver() ? { ...progress, note: { kind: 'failover' } } : progress });
  };
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
