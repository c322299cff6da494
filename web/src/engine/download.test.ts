import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadBlake3 } from '../format/blob.ts';
import { type Bytes, concat } from '../format/bytes.ts';
import { FormatError } from '../format/errors.ts';
import { toText } from '../format/id.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { asEngineError, Download } from './download.ts';
import { toEngineError } from './errors.ts';
import { lookAt, prepare } from './look.ts';
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
  vi.unstubAllGlobals();
  for (const w of [small, large]) {
    w.evil = undefined;
    w.answers.clear();
    w.requests.length = 0;
  }
});

function use(w: World): void {
  world = w;
  vi.stubGlobal('fetch', w.fetch);
}

let failovers = 0;
async function download(): Promise<Bytes> {
  failovers = 0;
  const opened = await lookAt(world.handle, world.fragment, null, 'session');
  const job = prepare(opened, 0);
  const run = await Download.create(job, () => failovers++);
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
    await expect(download()).rejects.toMatchObject({ code: 'nodes-away' });
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

  it('T08: a header that server and nodes change together is told by the root', async () => {
    const [blob] = world.page.blobs;
    const bytes = flip((world.blobs.get(blob?.name ?? '') ?? new Uint8Array()).slice(), 2);
    const name = toText((await loadBlake3()).hash(bytes));
    (world.blobs as Map<string, Bytes>).set(name, bytes);
    serverSays((p) => {
      (p.blobs[0] as { name: string }).name = name;
    });
    await expect(download()).rejects.toMatchObject({ code: 'integrity', detail: 'root' });
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
    ['unavailable', 503, 'unreachable'],
  ])('%s in the middle is told as such', async (code, status, told) => {
    world.answers.set('revisions', () => problemAnswer(code, status));
    await expect(download()).rejects.toMatchObject({ code: told });
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
