import { scriptUrl } from './trusted.ts';
import { EngineError } from './types.ts';

// The page's side of the service worker. Its scope leaves the pages themselves alone.

const SCOPE = '/sw/';
const ACTIVATION_MS = 15_000;

let starting: Promise<ServiceWorker> | undefined;

/** The active service worker, started when first asked for. */
export function service(): Promise<ServiceWorker> {
  starting ??= start().catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

async function start(): Promise<ServiceWorker> {
  if (!('serviceWorker' in navigator)) throw new EngineError('unsupported', 'service worker');
  let registration: ServiceWorkerRegistration;
  try {
    registration = await navigator.serviceWorker.register(scriptUrl('/sw.js'), {
      scope: SCOPE,
      updateViaCache: 'none',
    });
  } catch (error) {
    // A script that cannot be fetched is a TypeError; what the browser forbids is a SecurityError.
    if (error instanceof TypeError) throw new EngineError('unreachable', 'service worker');
    throw new EngineError('unsupported', error instanceof Error ? error.name : 'service worker');
  }
  if (registration.active && !registration.installing && !registration.waiting) return registration.active;
  const coming = registration.installing ?? registration.waiting;
  if (!coming) throw new EngineError('unsupported', 'service worker');
  await activation(coming);
  return coming;
}

function activation(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new EngineError('unsupported', 'service worker does not start')),
      ACTIVATION_MS,
    );
    const check = (): void => {
      if (worker.state === 'activated') {
        clearTimeout(timer);
        resolve();
      } else if (worker.state === 'redundant') {
        clearTimeout(timer);
        reject(new EngineError('unsupported', 'service worker'));
      }
    };
    worker.addEventListener('statechange', check);
    check();
  });
}
