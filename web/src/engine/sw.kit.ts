// The scope of a service worker, the pages that use it, and the requests of their browser.
import { vi } from 'vitest';
import { type Bytes, concat } from '../format/bytes.ts';
import type { DownloadJob, FromService } from './messages.ts';

export const ORIGIN = 'https://holdfast.test';
const handlers = new Map<string, (event: object) => void>();
export const scope = {
  location: { origin: ORIGIN },
  addEventListener: (kind: string, handler: (event: object) => void) => void handlers.set(kind, handler),
  skipWaiting: vi.fn(() => Promise.resolve('skipped')),
  clients: { claim: vi.fn(() => Promise.resolve('claimed')) },
  setInterval: (tick: () => void, ms: number) => setInterval(tick, ms),
};
export const emit = (kind: string, event: object): void => handlers.get(kind)?.(event);

/** Starts the service worker in the scope. */
export async function startWorker(): Promise<void> {
  vi.stubGlobal('self', scope);
  vi.resetModules();
  await import('./sw.ts');
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
    return new Navigation(`${ORIGIN}/sw/download/${this.id}`);
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
