import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { pattern } from '../format/vectors/case.kit.ts';
import { pass, until } from './clock.kit.ts';
import { emit, Navigation, Net, Page, rest, SCOPE, same, startWorker } from './sw.kit.ts';
import { World } from './world.kit.ts';

// The service worker's answers, in a scope of the test's making, with server and nodes in memory.

let small: World;
let large: World;
let net: Net;
let several: World;
beforeAll(async () => {
  small = await World.make([['note.txt', pattern(700_000)]]);
  large = await World.make([['film.bin', pattern(9_000_000)]]);
  several = await World.make([
    ['a/one.txt', pattern(5000)],
    ['b/two.txt', pattern(70_000)],
  ]);
  await startWorker();
});
beforeEach(() => {
  vi.useFakeTimers();
  net = new Net(small);
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  small.evil = undefined;
});

describe('the service worker', () => {
  it.each([
    ['another path in its scope', `${SCOPE}upload/id`],
    ['a page', 'https://holdfast.test/s/AAAA'],
    ['another version', 'https://holdfast.test/sw/v2/download/id'],
    ['another server', 'https://elsewhere.test/sw/v1/download/id'],
  ])('leaves %s alone', (_, url) => {
    expect(new Navigation(url).response).toBeUndefined();
  });

  it.each(['', 'unknown', 'id/more', '%00'])('knows no download "%s"', async (id) => {
    const response = await new Navigation(`${SCOPE}download/${id}`).response;
    expect(response?.status).toBe(404);
  });

  it('takes no download without a port, and no word about one that it does not know', async () => {
    const job = await net.job();
    emit('message', { data: { kind: 'register', id: 'portless', job }, ports: [] });
    const page = new Page(job);
    page.say('ping', 'nobody');
    page.say('cancel', 'nobody');
    expect((await new Navigation(`${SCOPE}download/portless`).response)?.status).toBe(404);
    expect(page.kinds).toEqual(['ready']);
  });
});

describe('a download', () => {
  it('is a file that cannot be a document, of the length that was announced', async () => {
    const page = new Page(await net.job());
    expect(page.kinds).toEqual(['ready']);
    const response = await page.navigate().response;
    expect(response?.status).toBe(200);
    expect(Object.fromEntries(response?.headers ?? [])).toEqual({
      'cache-control': 'no-store',
      'content-disposition': `attachment; filename="note.txt"; filename*=UTF-8''note.txt`,
      'content-length': '700000',
      'content-security-policy': "default-src 'none'; sandbox",
      'content-type': 'application/octet-stream',
      'x-content-type-options': 'nosniff',
    });
    const bytes = new Uint8Array((await response?.arrayBuffer()) ?? []);
    expect(same(bytes, pattern(700_000))).toBe(true);
    expect(page.kinds.at(-1)).toBe('done');
  });

  it.each([
    ['quotes', 'a"; filename="b.exe', 'a_; filename=_b.exe'],
    ['line breaks', 'a\r\nSet-Cookie: b=c.txt', 'a__Set-Cookie: b=c.txt'],
    ['a backslash and a percent sign', 'a\\"%22.txt', 'a___22.txt'],
    ['letters beyond ASCII', 'Müller & Søn €.pdf', 'M_ller & S_n _.pdf'],
    ['characters beyond the first plane', '\u{1F642}.png', '__.png'],
    ['what RFC 5987 does not take', "it's (1)*.txt", "it's (1)*.txt"],
    ['control characters', 'a\0b\x7fc\x1b', 'a_b_c_'],
  ])('of a name with %s has it in its header and nothing else', async (_, name, ascii) => {
    const page = new Page({ ...(await net.job()), name });
    const response = await page.navigate().response;
    const header = response?.headers.get('Content-Disposition') ?? '';
    const [, plain, encoded = ''] =
      /^attachment; filename="([^"\\]*)"; filename\*=UTF-8''([\w.!~-]|%[\dA-F]{2})*$/.exec(header) ?? [];
    expect(plain).toBe(ascii);
    expect(encoded).not.toBe('');
    expect(decodeURIComponent(header.slice(header.indexOf("''") + 2))).toBe(name);
    expect(response?.headers.get('Set-Cookie')).toBeNull();
    await response?.body?.cancel();
  });

  it('asks no node before the browser wants bytes, and then for one blob ahead', async () => {
    net = new Net(large);
    const page = new Page(await net.job());
    const reader = await page.navigate().body();
    for (let i = 0; i < 200; i++) await pass(5);
    expect(net.blobs).toEqual([]);
    await reader.read();
    expect(net.blobs).toHaveLength(2);
    await reader.cancel();
  });

  it('is told as done after its last byte and not before', async () => {
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    let left = 700_000;
    while (left > 0) {
      left -= (await reader.read()).value?.length ?? 0;
      expect(page.kinds).not.toContain('done');
      expect(navigation.over).toBe(false);
    }
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    expect(page.kinds.at(-1)).toBe('done');
    await pass(0);
    expect(navigation.over).toBe(true);
  });

  it('can be had once', async () => {
    const page = new Page(await net.job());
    const reader = await page.navigate().body();
    await reader.read();
    const again = await page.navigate().response;
    expect(again?.status).toBe(404);
    expect(await again?.text()).toBe('This download is over.');
    await rest(reader);
    expect(page.kinds.at(-1)).toBe('done');
    expect((await page.navigate().response)?.status).toBe(404);
  });

  it('of several files is one archive of the length that was announced', async () => {
    net = new Net(several);
    const page = new Page(await net.job('all'));
    const response = await page.navigate().response;
    const bytes = Buffer.from((await response?.arrayBuffer()) ?? new ArrayBuffer(0));
    expect(response?.headers.get('Content-Length')).toBe(String(bytes.length));
    expect(response?.headers.get('Content-Disposition')).toContain('filename="several.zip"');
    expect(bytes.subarray(0, 4).toString('latin1')).toBe('PK\x03\x04');
    expect(bytes.includes(Buffer.from(pattern(70_000)))).toBe(true);
    expect(page.kinds.at(-1)).toBe('done');
  });

  it.each([
    ['and that a node was left', 500, { note: { kind: 'failover' } }],
    ['and nothing else when all is well', 200, {}],
  ])('reports how far it is, %s', async (_, status, note) => {
    small.evil = (node) => (status !== 200 && node.url.includes('de.') ? new Response(null, { status }) : undefined);
    const page = new Page(await net.job());
    await rest(await page.navigate().body());
    const reports = page.told.flatMap((m) => (m.kind === 'progress' ? m.progress : []));
    expect(reports.at(-1)).toEqual({
      totalBytes: 700_000,
      doneBytes: 700_000,
      bytesPerSecond: 0, // on a clock that stands still
      secondsLeft: 0,
      ...note,
    });
    expect(page.kinds.slice(-2)).toEqual(['progress', 'done']);
  });

  it('waits for nodes that are all away, says so, and goes on with them', async () => {
    const page = new Page(await net.job());
    const reader = await page.navigate().body();
    small.evil = () => new Response(null, { status: 500 });
    const reading = rest(reader);
    await until(() => net.blobs.length > 0);
    for (let s = 0; s < 60; s += 5) {
      await pass(5000);
      page.say('ping');
    }
    const notes = page.told.flatMap((m) => (m.kind === 'progress' ? (m.progress.note ?? []) : []));
    expect(notes.filter((n) => n.kind === 'retrying').slice(0, 7)).toEqual(
      [1, 2, 1, 4, 3, 2, 1].map((seconds) => ({ kind: 'retrying', seconds })),
    );
    let back = false;
    small.evil = () => {
      back = true;
      return undefined;
    };
    for (let s = 0; s < 15 && !back; s++) await pass(1000);
    expect(same(await reading, pattern(700_000))).toBe(true);
    expect(page.kinds).not.toContain('error');
  });
});

describe('what is needed to check a download', () => {
  it('is told when it cannot be had', async () => {
    const job = await net.job();
    vi.doMock('../format/blob.ts', async (original) => ({
      ...(await original<typeof import('../format/blob.ts')>()),
      loadBlake3: () => Promise.reject(new TypeError('no such script')),
    }));
    await startWorker();
    vi.doUnmock('../format/blob.ts');
    const page = new Page(job);
    const navigation = page.navigate();
    await expect(navigation.response).rejects.toThrow('no such script');
    await pass(0);
    expect(page.errors).toEqual(['internal']);
    expect(navigation.over).toBe(true);
    expect((await page.navigate().response)?.status).toBe(404);
    await startWorker();
  });
});
