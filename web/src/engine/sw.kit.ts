// The scope of a service worker, the pages that use it, and the requests of their browser.
import { vi } from 'vitest';
import { type Bytes, concat } from '../format/bytes.ts';
import { lookAt, prepare } from './look.ts';
import type { DownloadJob, FromService } from './messages.ts';
import type { World } from './world.kit.ts';

export const SCOPE = 'https://holdfast.test/sw/v1/';
const handlers = new Map<string, (event: object) => void>();
export const scope = {
  registration: { scope: SCOPE },
  addEventListener: (kind: string, handler: (event: object) => void) => void handlers.set(kind, handler),
};
export const emit = (kind: string, event: object): void => handlers.get(kind)?.(event);

/** Starts the service worker in the scope, in Firefox, where it minds whether its page is there. */
export async function startWorker(): Promise<void> {
  vi.stubGlobal('self', scope);
  vi.stubGlobal('navigator', { onLine: true, userAgent: 'Mozilla/5.0 Gecko/20100101 Firefox/153.0' });
  vi.resetModules();
  await import('./sw.ts');
}

/** Server and nodes as the service worker reaches them. */
export class Net {
  readonly world: World;
  /** Of all requests since the job was made. */
  signals: (AbortSignal | null | undefined)[] = [];

  constructor(world: World) {
    this.world = world;
    vi.stubGlobal('self', scope);
    vi.stubGlobal('navigator', { onLine: true });
    vi.stubGlobal('fetch', (url: string, init?: RequestInit) => {
      this.signals.push(init?.signal);
      return world.fetch(url);
    });
  }
  /** The download of an entry of the world's link. */
  async job(what: number | 'all' = 0): Promise<DownloadJob> {
    const { world } = this;
    const job = prepare(await lookAt(world.handle, world.fragment, null, 'session'), what);
    world.requests.length = 0;
    this.signals = [];
    return job;
  }
  get blobs(): string[] {
    return this.world.requests.filter((url) => url.includes('/blobs/'));
  }
}

let ids = 0;
/** A download that a page has registered. */
export class Page {
  readonly id = `id${++ids}`;
  readonly told: FromService[] = [];
  constructor(job: DownloadJob) {
    const port = { postMessage: (message: FromService) => this.told.push(message) };
    emit('message', { data: { kind: 'register', id: this.id, job }, ports: [port] });
  }
  say(kind: 'ping' | 'cancel', id = this.id): void {
    emit('message', { data: { kind, id }, ports: [] });
  }
  navigate(): Navigation {
    return new Navigation(`${SCOPE}download/${this.id}`);
  }
  get kinds(): string[] {
    return this.told.map((m) => m.kind);
  }
  get errors(): string[] {
    return this.told.flatMap((m) => (m.kind === 'error' ? m.error.code : []));
  }
}

/** A request of the browser's, and what the service worker does with it. */
export class Navigation {
  response: Promise<Response> | undefined;
  /** Whether the browser may end the service worker. */
  over = true;
  constructor(url: string) {
    emit('fetch', {
      request: { url },
      respondWith: (response: Response | Promise<Response>) => {
        this.response = Promise.resolve(response);
      },
      waitUntil: (work: Promise<unknown>) => {
        this.over = false;
        void work.then(() => {
          this.over = true;
        });
      },
    });
  }
  async body(): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const stream = (await this.response)?.body;
    if (!stream) throw new RangeError('no body');
    return stream.getReader();
  }
}

/** All that is left. */
export async function rest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value.slice());
  return concat(...parts);
}
export const same = (a: Bytes, b: Bytes): boolean => Buffer.from(a).equals(b);
