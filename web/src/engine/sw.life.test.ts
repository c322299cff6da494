import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Bytes, concat } from '../format/bytes.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { lookAt, prepare } from './look.ts';
import type { FromService, ToService } from './messages.ts';
import { World } from './world.kit.ts';

// The life of a service worker: what it says, when it ends, and that nothing short is ever complete.

class Scope extends EventTarget {
  readonly location = new URL('http://host.test/sw/v1/sw.js');
  unregistered = 0;
  skipped = 0;
  readonly registration = {
    scope: 'http://host.test/sw/v1/',
    unregister: async () => {
      this.unregistered++;
      return true;
    },
  };
  readonly skipWaiting = async (): Promise<void> => void this.skipped++;
  readonly clients = { claim: async (): Promise<void> => void this.skipped++ };
}

let scope: Scope;
let world: World;
let said: FromService[];
let ports: MessagePort[];

async function start(agent: string): Promise<void> {
  vi.resetModules();
  scope = new Scope();
  said = [];
  ports = [];
  vi.stubGlobal('self', scope);
  vi.stubGlobal('navigator', { onLine: true, userAgent: agent });
  vi.stubGlobal('fetch', world.fetch);
  vi.stubGlobal('File', globalThis.File ?? class {});
  await import('./sw.ts');
}
beforeEach(async () => {
  world = await World.make([['note.txt', pattern(700_000)]]);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  for (const port of ports) port.close();
});

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

function send(message: ToService, ports: MessagePort[] = []): void {
  const event = new Event('message') as Event & { data: ToService; ports: MessagePort[]; waitUntil(p: unknown): void };
  scope.dispatchEvent(Object.assign(event, { data: message, ports, waitUntil: () => {} }));
}

async function register(id: string): Promise<void> {
  const opened = await lookAt(world.handle, world.fragment, null, 'session');
  const { port1, port2 } = new MessageChannel();
  ports.push(port1);
  port1.onmessage = ({ data }: MessageEvent<FromService>) => said.push(data);
  send({ kind: 'register', id, job: prepare(opened, 0) }, [port2 as unknown as MessagePort]);
  await turns();
}

/** What the browser gets for an address, or nothing where the worker leaves it to the network. */
function request(url: string): Promise<Response> | undefined {
  let answer: Promise<Response> | undefined;
  const event = new Event('fetch') as Event & { request: { url: string } };
  const more = {
    request: { url },
    waitUntil: () => {},
    respondWith: (r: Response | Promise<Response>) => (answer = Promise.resolve(r)),
  };
  scope.dispatchEvent(Object.assign(event, more));
  return answer;
}
const address = (id: string): string => `${scope.registration.scope}download/${id}`;
const kinds = (): string[] => said.map((m) => m.kind);

async function save(id: string): Promise<ReadableStreamDefaultReader<Bytes>> {
  const response = (await request(address(id))) as Response;
  return (response.body as ReadableStream<Bytes>).getReader();
}
async function all(reader: ReadableStreamDefaultReader<Bytes>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value.slice());
  return concat(...parts);
}

describe.each([
  ['Chromium', 'Chrome/156'],
  ['Firefox', 'Firefox/153'],
])('a service worker in %s', (name, agent) => {
  beforeEach(() => start(agent));

  it('never takes the place of another one', () => {
    for (const type of ['install', 'activate']) {
      scope.dispatchEvent(Object.assign(new Event(type), { waitUntil: () => {} }));
    }
    expect(scope.skipped).toBe(0);
  });

  it('says that it has begun before it asks anybody, and what it did before it is done', async () => {
    await register('a');
    expect(kinds()).toEqual(['ready']);
    let answered = (): void => {};
    world.answers.set('revisions', () => {
      throw new TypeError('not before the test has looked');
    });
    const pages = world.fetch;
    vi.stubGlobal('fetch', async (url: string) => {
      if (url.endsWith('revisions')) await new Promise<void>((resolve) => (answered = resolve));
      world.answers.clear();
      return pages(url);
    });
    const saving = save('a');
    await turns();
    expect(kinds()).toEqual(['ready', 'started']);
    send({ kind: 'ping', id: 'a' });
    await turns();
    expect(kinds()).toEqual(['ready', 'started', 'alive']);
    answered();
    const bytes = await all(await saving);
    await turns();
    expect(Buffer.from(bytes).equals(Buffer.from(pattern(700_000)))).toBe(true);
    expect(kinds().slice(-2)).toEqual(['progress', 'done']);
    expect(said.at(-2)).toMatchObject({ progress: { doneBytes: 700_000, totalBytes: 700_000 } });
  });

  it('refuses before the browser lists a download', async () => {
    await register('a');
    world.answers.set(
      'revisions',
      () =>
        new Response(JSON.stringify({ code: 'session-invalid' }), {
          status: 403,
          headers: { 'Content-Type': 'application/problem+json' },
        }),
    );
    await expect(request(address('a'))).rejects.toMatchObject({ code: 'session-ended' });
    await turns();
    expect(said.at(-1)).toMatchObject({ kind: 'error', error: { code: 'session-ended' } });
  });

  it('gives each download once, and leaves other addresses alone', async () => {
    await register('a');
    await all(await save('a'));
    expect((await request(address('a')))?.status).toBe(404);
    expect((await request(address('b')))?.status).toBe(404);
    expect(request('http://host.test/sw/v1/sw.js')).toBeUndefined();
    expect(request('http://host.test/sw/v2/download/a')).toBeUndefined();
    expect(request('http://other.test/sw/v1/download/a')).toBeUndefined();
  });

  it('does not retire while it has a download, and takes none afterwards', async () => {
    await register('a');
    send({ kind: 'retire' });
    await turns();
    expect(scope.unregistered).toBe(0);
    const reader = await save('a');
    await reader.read();
    send({ kind: 'retire' });
    await turns();
    expect(scope.unregistered).toBe(0);
    await all(reader);
    await turns();
    send({ kind: 'retire' });
    await register('b');
    expect(scope.unregistered).toBe(1);
    expect(kinds().at(-1)).toBe('retired');
  });

  it('tells a download that the browser stopped from one that the page did', async () => {
    await register('a');
    await (await save('a')).cancel();
    await turns();
    expect(said.at(-1)).toMatchObject({ kind: 'error', error: { code: 'stopped' } });
    await register('b');
    const reader = await save('b');
    await reader.read();
    send({ kind: 'cancel', id: 'b' });
    await expect(all(reader)).rejects.toThrow('this download failed');
    await turns();
    expect(said.at(-1)).toMatchObject({ kind: 'error', error: { code: 'cancelled' } });
  });

  it('frees what was given once more is wanted, where the browser keeps it', async () => {
    const freed = vi.fn();
    Object.defineProperty(ArrayBuffer.prototype, 'transfer', { value: freed, configurable: true, writable: true });
    await register('a');
    const reader = await save('a');
    const first = await reader.read();
    const { buffer } = first.value as Bytes;
    expect(freed.mock.contexts).not.toContain(buffer);
    expect(first.value?.length).toBeGreaterThan(0);
    await reader.read();
    expect(freed.mock.contexts.includes(buffer)).toBe(name === 'Firefox');
    await all(reader);
    Reflect.deleteProperty(ArrayBuffer.prototype, 'transfer');
  });

  it(name === 'Firefox' ? 'fails what has no page any more' : 'goes on while its page is frozen', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await register('a');
    const reader = await save('a');
    await reader.read();
    for (let i = 0; i < 10; i++) {
      vi.advanceTimersByTime(4000);
      send({ kind: 'ping', id: 'a' });
    }
    await turns();
    expect(kinds()).not.toContain('error');
    vi.advanceTimersByTime(30_000);
    if (name === 'Firefox') await expect(all(reader)).rejects.toThrow('this download failed');
    else expect((await all(reader)).length).toBeGreaterThan(400_000);
  });
});
