import type { ToService } from './messages.ts';
import { scriptUrl } from './trusted.ts';
import { EngineError } from './types.ts';

// The page's side of the service worker. Each version of it, that is each script under each policy, has an address and a
// scope of its own, so that none ever replaces another: in Chromium a worker that is replaced ends the downloads that it
// serves. Its scope leaves the pages themselves alone (docs/decisions/0006-browser-streams.md).

const ROOT = '/sw/';
const ACTIVATION_MS = 15_000;
const VERSION_MS = 15_000;

/** An active service worker, and the scope below which it answers. */
export interface Serving {
  readonly worker: ServiceWorker;
  readonly scope: string;
}

/** The active service worker of the version that the server has now. Throws EngineError. */
export async function service(): Promise<Serving> {
  if (!('serviceWorker' in navigator)) throw new EngineError('unsupported', 'service worker');
  const version = await versionNow();
  // A worker of another build may speak otherwise than this page.
  if (version.split('.')[0] !== buildOfPage()) throw new EngineError('out-of-date');
  const scope = `${ROOT}${version}/`;
  const registration = await register(scope);
  const worker = registration.active ?? registration.installing ?? registration.waiting;
  if (!worker) throw new EngineError('unsupported', 'service worker');
  await activation(worker);
  void retireOthers(registration.scope);
  return { worker, scope };
}

/** The build that this page belongs to. */
function buildOfPage(): string {
  return document.querySelector<HTMLMetaElement>('meta[name=holdfast-worker]')?.content ?? '';
}

async function versionNow(): Promise<string> {
  let version: string;
  try {
    const response = await fetch(`${ROOT}version`, {
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(VERSION_MS),
    });
    if (!response.ok) throw new TypeError(`HTTP ${response.status}`);
    version = await response.text();
  } catch (error) {
    throw new EngineError('unreachable', error instanceof Error ? error.name : '');
  }
  if (!/^[\w-]{16}\.[\w-]{16}$/.test(version)) throw new EngineError('unreachable', 'service worker');
  return version;
}

async function register(scope: string): Promise<ServiceWorkerRegistration> {
  try {
    // The script under one address never changes, so that whatever cache has it is right.
    return await navigator.serviceWorker.register(scriptUrl(`${scope}sw.js`), { scope, updateViaCache: 'all' });
  } catch (error) {
    // A script that cannot be fetched is a TypeError; what the browser forbids is a SecurityError.
    if (error instanceof TypeError) throw new EngineError('unreachable', 'service worker');
    throw new EngineError('unsupported', error instanceof Error ? error.name : 'service worker');
  }
}

/** Older versions end themselves as soon as no download runs in them; no page can tell that of other tabs. */
async function retireOthers(scope: string): Promise<void> {
  const retire: ToService = { kind: 'retire' };
  const root = new URL(ROOT, location.href).href;
  try {
    for (const other of await navigator.serviceWorker.getRegistrations()) {
      if (other.scope.startsWith(root) && other.scope !== scope) other.active?.postMessage(retire);
    }
  } catch {
    // They take a little room on disk until the next download asks them.
  }
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
