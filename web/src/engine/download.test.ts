import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadBlake3 } from '../format/blob.ts';
import { type Bytes, concat } from '../format/bytes.ts';
import { FormatError } from '../format/errors.ts';
import { toText } from '../format/id.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { asEngineError, Download } from './download.ts';
import { toEngineError } from './errors.ts';
import { lookAt, prepare } from './look.ts';
import type { ProgressNote } from './types.ts';
import { problemAnswer, World } from './world.kit.ts';

// Rows 8 to 12 and 25 against the engine, with server and nodes in memory: the same code runs in the browser's workers.

let world: World;
let small: World;
let large: World;
beforeAll(async () => {
  small = await World.make([['note.txt', pattern(300_000)]]);
  large = await World.make([['film.bin', pattern(9_000_000)]]);
});
beforeEach(() => use(small));
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  for (const w of [small, large]) {
    w.evil = undefined;
    w.answers.clear();
    w.requests.length = 0;
  }
});

function use(w: World): void {
  world = w;
  vi.stubGlobal('navigator', { onLine: true, userAgent: '' });
  vi.stubGlobal('fetch', w.fetch);
}

let failovers = 0;
let notes: (ProgressNote | undefined)[] = [];
async function download(): Promise<Bytes> {
  failovers = 0;
  notes = [];
  const opened = await lookAt(world.handle, world.fragment, null, 'session');
  const job = prepare(opened, 0);
  const run = await Download.create(
    job,
    () => failovers++,
    (note) => notes.push(note),
  );
  const parts: Bytes[] = [];
  const [file] = job.files;
  if (!file) throw new RangeError('no file');
  try {
    for await (const part of run.open(file)) parts.push(part.slice());
  } catch (error) {
    throw toEngineError(asEngineError(error));
  }
  return concat(...parts);
}

/** Lets time pass until something ends, in steps of a second. Cryptography and streams take their own real time. */
async function passing<T>(running: Promise<T>, each: (second: number) => void = () => {}): Promise<T> {
  let settled = false;
  const watched = running.finally(() => (settled = true));
  watched.catch(() => {});
  for (let second = 0; !settled; ) {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (settled || vi.getTimerCount() === 0) continue; // nobody waits for time
    each(++second);
    await vi.advanceTimersByTimeAsync(1000);
  }
  return watched;
}
const fakeTime = (): unknown =>
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });

function flip(bytes: Bytes, at: number): Bytes {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

/** The server's page of revisions with a change. */
function serverSays(change: (page: World['page']) => void, path = 'revisions'): void {
  const page = structuredClone(world.page);
  change(page);
  world.answers.set(path, () =>
    Response.json(path === 'extents' ? { ...page, extents: page.revisions[0]?.extents } : page),
  );
}

const same = (a: Bytes, b: Bytes): boolean => Buffer.from(a).equals(Buffer.from(b));

describe('a download', () => {
  it('gives the bytes that were sent', async () => {
    expect(same(await download(), pattern(300_000))).toBe(true);
    use(large);
    expect(same(await download(), pattern(9_000_000))).toBe(true);
    expect(failovers).toBe(0);
  });

  const damage: [string, (bytes: Bytes) => Bytes | Response][] = [
    ['T08: a bit of the header', (b) => flip(b, 2)],
    ['T08: a bit of a segment', (b) => flip(b, b.length >> 1)],
    ['T08: a bit of the last tag', (b) => flip(b, b.length - 1)],
    ['T09: a byte less', (b) => b.subarray(0, b.length - 1) as Bytes],
    ['T09: a byte more', (b) => concat(b, new Uint8Array(1))],
    ['T09: all of it twice', (b) => concat(b, b)],
    ['T25: nothing', () => new Uint8Array()],
  ];
  it.each(damage)('%s at every node is damage', async (_, change) => {
    world.evil = (_, __, bytes) => change(bytes);
    await expect(download()).rejects.toMatchObject({ code: 'integrity' });
  });
  it.each(damage)('T25: %s at one node costs a fault and no byte', async (_, change) => {
    world.evil = ({ url }, _, bytes) => (url.includes('de.') ? change(bytes) : undefined);
    expect(same(await download(), pattern(300_000))).toBe(true);
    expect(failovers).toBe(1);
  });

  it('T25: a node that errs is left, and both are told as away', async () => {
    world.evil = ({ url }) => (url.includes('de.') ? new Response(null, { status: 500 }) : undefined);
    expect(same(await download(), pattern(300_000))).toBe(true);
    world.evil = () => new Response(null, { status: 500 });
    fakeTime();
    await expect(passing(download())).rejects.toMatchObject({ code: 'nodes-away' });
  });

  it('a blob that no node has is told at once', async () => {
    world.evil = () => new Response(null, { status: 404 });
    await expect(download()).rejects.toMatchObject({ code: 'nodes-away' });
    expect(notes).toEqual([]);
  });

  it('one damaged copy beside one that is away is not the end, and not called damage', async () => {
    fakeTime();
    let away = true;
    world.evil = ({ url }, _, bytes) => {
      if (url.includes('de.')) return flip(bytes, 5);
      return away ? new Response(null, { status: 502 }) : undefined;
    };
    const bytes = await passing(download(), (second) => (away = second < 20));
    expect(same(bytes, pattern(300_000))).toBe(true);
    away = true;
    await expect(passing(download())).rejects.toMatchObject({ code: 'nodes-away' });
  });

  it.each<[string, (page: World['page']) => void]>([
    ['T12: another release key', (p) => ((p.revisions[0] as { releaseKey: string }).releaseKey = 'A'.repeat(43))],
    ['T12: a release key cut short', (p) => ((p.revisions[0] as { releaseKey: string }).releaseKey = 'AAAA')],
    ['T08: another salt', (p) => ((p.revisions[0] as { salt: string }).salt = 'A'.repeat(43))],
    ['T08: another prefix', (p) => ((p.revisions[0] as { prefix: string }).prefix = 'AAAAAAAAAA')],
    ['T09: another length', (p) => ((p.revisions[0] as { length: number }).length += 1)],
    ['T09: two extents', (p) => p.revisions[0]?.extents.push([0, 0, 1])],
    ['T09: an extent beyond its blob', (p) => ((p.revisions[0]?.extents[0] as number[])[1] = 1)],
    ['T09: no extent', (p) => p.revisions[0]?.extents.pop()],
    ['T09: many extents', (p) => ((p.revisions[0] as { extentCount: number }).extentCount = 7)],
    ['T10: another revision', (p) => ((p.revisions[0] as { id: string }).id = 'A'.repeat(22))],
    ['T10: a blob at an unknown node', (p) => ((p.blobs[0] as { nodes: number[] }).nodes = [5])],
    ['T28: a blob larger than any', (p) => ((p.blobs[0] as { size: number }).size = 2 ** 40)],
  ])('%s from the server is damage, and no node is asked twice for it', async (_, change) => {
    serverSays(change);
    await expect(download()).rejects.toMatchObject({ code: 'integrity' });
    expect(world.requests.filter((url) => url.includes('/blobs/')).length).toBeLessThanOrEqual(4);
  });

  it('T12: the commitment is checked before a segment is opened', async () => {
    serverSays((p) => ((p.revisions[0] as { releaseKey: string }).releaseKey = 'A'.repeat(43)));
    await expect(download()).rejects.toMatchObject({ code: 'integrity', detail: 'commitment' });
  });

  it.each([
    ['T07: a stream of a version that nobody knows', 0, 'version'],
    ['T08: another salt', 2, 'commitment'],
    ['T08: another nonce prefix', 35, 'commitment'],
  ])('%s, from server and nodes together, is told by its header', async (_, at, detail) => {
    const [blob] = world.page.blobs;
    const bytes = flip((world.blobs.get(blob?.name ?? '') ?? new Uint8Array()).slice(), at);
    const name = toText((await loadBlake3()).hash(bytes));
    (world.blobs as Map<string, Bytes>).set(name, bytes);
    serverSays((p) => {
      (p.blobs[0] as { name: string }).name = name;
    });
    await expect(download()).rejects.toMatchObject({ code: 'integrity', detail });
  });

  it.each([
    ['T11: another root than the descriptor’s', { root: new Uint8Array(32) }, 'root'],
    ['T22: bytes where padding should be', { trueSize: 299_999 }, 'padding'],
  ])('%s, by the sender’s own doing, is damage', async (_, sealed, detail) => {
    use(await World.make([['note.txt', pattern(300_000)]], undefined, {}, sealed));
    await expect(download()).rejects.toMatchObject({ code: 'integrity', detail });
  });

  it('T09: pieces exchanged by the server are damage', async () => {
    use(large);
    serverSays((p) => p.revisions[0]?.extents.reverse(), 'extents');
    await expect(download()).rejects.toMatchObject({ code: 'integrity' });
  });

  it('T11: a bad last blob fails at the end, after good parts', async () => {
    use(large);
    world.evil = (_, __, bytes) => (bytes.length < 8 << 20 ? flip(bytes, bytes.length - 1) : undefined);
    await expect(download()).rejects.toMatchObject({ code: 'integrity' });
  });

  it('asks for fresh tickets once a node takes none, and says what became of the link', async () => {
    let refusals = 0;
    world.evil = () => (refusals++ < 2 ? new Response(null, { status: 403 }) : undefined);
    expect(same(await download(), pattern(300_000))).toBe(true);
    world.evil = () => new Response(null, { status: 403 });
    await expect(download()).rejects.toMatchObject({ code: 'nodes-away' });
  });

  it.each([
    ['link-revoked', 410, 'revoked'],
    ['link-expired', 410, 'expired'],
    ['link-used-up', 410, 'used-up'],
  ])('%s in the middle is told as such', async (code, status, told) => {
    world.answers.set('revisions', () => problemAnswer(code, status));
    await expect(download()).rejects.toMatchObject({ code: told });
    expect(notes).toEqual([]);
  });

  const server = (): Response => problemAnswer('unavailable', 503);
  it.each([
    ['the server at the start', 'small', 'revisions'],
    ['the server in the middle', 'large', 'extents'],
  ])('%s may be away for a while', async (_, which, call) => {
    use(which === 'small' ? small : large);
    fakeTime();
    world.answers.set(call, server);
    const bytes = await passing(download(), (second) => {
      if (second === 20) world.answers.delete(call);
    });
    expect(same(bytes, pattern(which === 'small' ? 300_000 : 9_000_000))).toBe(true);
    expect(notes[0]).toEqual({ kind: 'retrying', seconds: 1 });
    expect(notes).toContainEqual({ kind: 'retrying', seconds: 4 });
    expect(notes.at(-1)).toBeUndefined();
  });

  it('gives a server up that is away for three minutes', async () => {
    fakeTime();
    world.answers.set('revisions', server);
    let seconds = 0;
    await expect(passing(download(), (second) => (seconds = second))).rejects.toMatchObject({ code: 'unreachable' });
    expect(seconds).toBeGreaterThan(150);
    expect(seconds).toBeLessThan(240);
  });

  it.each(['small', 'large'])(
    'all nodes may be away for a while, and places are asked for again: %s',
    async (which) => {
      use(which === 'small' ? small : large);
      fakeTime();
      world.evil = () => new Response(null, { status: 502 });
      const bytes = await passing(download(), (second) => {
        if (second === 30) world.evil = undefined;
      });
      expect(same(bytes, pattern(which === 'small' ? 300_000 : 9_000_000))).toBe(true);
      const asked = world.requests.filter((url) => /revisions$|extents$/.test(url)).length;
      expect(asked).toBeGreaterThan(3);
    },
  );

  it('waits while the device is offline, says so, and goes on when it is back', async () => {
    fakeTime();
    const line = { onLine: false, userAgent: '' };
    vi.stubGlobal('navigator', line);
    const online = world.fetch;
    const asked: number[] = [];
    let now = 0;
    vi.stubGlobal('fetch', async (url: string) => {
      if (line.onLine || url.includes('look')) return online(url);
      asked.push(now);
      throw new TypeError('offline');
    });
    const bytes = await passing(download(), (second) => {
      now = second;
      line.onLine = second >= 60;
    });
    expect(same(bytes, pattern(300_000))).toBe(true);
    expect(asked).toHaveLength(1);
    expect(notes.length).toBeGreaterThan(50);
    expect(new Set(notes.map((n) => n?.kind))).toEqual(new Set(['offline', undefined]));
  });

  it('a link revoked while the nodes are away ends it', async () => {
    fakeTime();
    world.evil = () => new Response(null, { status: 502 });
    const running = download();
    const ended = passing(running, (second) => {
      if (second === 5) world.answers.set('revisions', () => problemAnswer('link-revoked', 410));
    });
    await expect(ended).rejects.toMatchObject({ code: 'revoked' });
  });

  it('on a slow line the next blob does not share it', async () => {
    use(large);
    const running: string[] = [];
    let most = 0;
    const near = world.fetch;
    vi.stubGlobal('fetch', async (url: string) => {
      if (!url.includes('/blobs/')) return near(url);
      const body = (await (await near(url)).arrayBuffer()) as ArrayBuffer;
      return new Response(
        new ReadableStream(
          {
            start: () => {
              running.push(url);
              most = Math.max(most, running.length);
            },
            pull: (controller) => {
              controller.enqueue(new Uint8Array(body));
              controller.close();
              running.splice(running.indexOf(url), 1);
            },
          },
          { highWaterMark: 0 },
        ),
      );
    });
    expect(same(await download(), pattern(9_000_000))).toBe(true);
    expect(most).toBe(1);
  });

  it('stops when it is cancelled', async () => {
    const opened = await lookAt(world.handle, world.fragment, null, 'session');
    const job = prepare(opened, 0);
    const run = await Download.create(job, () => {});
    run.cancel();
    vi.stubGlobal('fetch', (_: string, init?: RequestInit) => {
      init?.signal?.throwIfAborted();
      throw new FormatError('length', 'asked after it was cancelled');
    });
    const file = job.files[0];
    if (!file) throw new RangeError('no file');
    await expect(run.open(file).next()).rejects.toMatchObject({ code: 'cancelled' });
  });
});
