import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Bytes, concat } from '../format/bytes.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { pass, until } from './clock.kit.ts';
import { type Navigation, Net, Page, rest, same, startWorker } from './sw.kit.ts';
import { World } from './world.kit.ts';

// Downloads that end before their time, and how everybody hears of it.

let small: World;
let large: World;
let net: Net;
beforeAll(async () => {
  small = await World.make([['note.txt', pattern(700_000)]]);
  large = await World.make([['film.bin', pattern(9_000_000)]]);
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
  for (const world of [small, large]) {
    world.evil = undefined;
    world.answers.clear();
  }
});

describe('a download breaks off', () => {
  /** All ends of it: the browser's, the page's, the network's, and the service worker's own. */
  async function expectBroken(page: Page, navigation: Navigation, code: string): Promise<void> {
    await pass(0);
    expect(page.errors).toEqual([code]);
    expect(page.kinds).not.toContain('done');
    expect(navigation.over).toBe(true);
    expect(net.signals.every((s) => s?.aborted)).toBe(true);
    expect((await page.navigate().response)?.status).toBe(404);
    const before = page.told.length;
    page.say('cancel');
    await pass(60_000);
    expect(page.told).toHaveLength(before);
  }

  it.each([
    ['at its first check', 'small', (b: Bytes) => b.fill(3)],
    ['when its last blob is damaged, after good bytes', 'large', (b: Bytes) => (b.length < 8 << 20 ? b.fill(3) : b)],
  ] as const)('%s', async (_, which, change) => {
    net = new Net(which === 'small' ? small : large);
    net.world.evil = (_, __, bytes) => change(bytes);
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    await expect(rest(reader)).rejects.toThrow(TypeError);
    await expectBroken(page, navigation, 'integrity');
  });

  it('when no node gives it', async () => {
    net.world.evil = () => new Response(null, { status: 403 });
    const page = new Page(await net.job());
    const navigation = page.navigate();
    await expect(rest(await navigation.body())).rejects.toThrow(TypeError);
    await expectBroken(page, navigation, 'nodes-away');
  });

  it('when the page cancels it', async () => {
    net = new Net(large);
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    await reader.read();
    page.say('cancel');
    await expect(reader.read()).rejects.toThrow(TypeError);
    await expectBroken(page, navigation, 'cancelled');
  });

  it('when the page cancels it while bytes are waited for', async () => {
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    let asked = false;
    const hanging = (signal: AbortSignal): Promise<Response> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    vi.stubGlobal('fetch', (_: string, init: { signal: AbortSignal }) => {
      asked = true;
      net.signals.push(init.signal);
      return hanging(init.signal);
    });
    const reading = reader.read();
    await until(() => asked);
    page.say('cancel');
    await expect(reading).rejects.toThrow(TypeError);
    await expectBroken(page, navigation, 'cancelled');
  });

  it('when the page cancels it while bytes are opened, which nobody hears of then', async () => {
    net = new Net(large);
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    await pass(1000);
    await reader.read();
    await pass(1000);
    const reading = reader.read();
    page.say('cancel');
    await expect(reading).rejects.toThrow(TypeError);
    for (let i = 0; i < 50; i++) await pass(0);
    expect(page.kinds.at(-1)).toBe('error');
    await expectBroken(page, navigation, 'cancelled');
  });

  it('when the browser cancels it', async () => {
    net = new Net(large);
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    await reader.read();
    await reader.cancel();
    await expectBroken(page, navigation, 'stopped');
  });

  it('before it begins, and is not begun then', async () => {
    const page = new Page(await net.job());
    page.say('cancel');
    expect(page.errors).toEqual(['cancelled']);
    expect((await page.navigate().response)?.status).toBe(404);
    expect(net.world.requests).toEqual([]);
  });

  it('when the page cancels it before the service worker is ready, and nobody is asked', async () => {
    const page = new Page(await net.job());
    const navigation = page.navigate();
    page.say('cancel');
    await expect(navigation.response).rejects.toMatchObject({ code: 'cancelled' });
    expect(net.world.requests).toEqual([]);
    await expectBroken(page, navigation, 'cancelled');
  });

  it('when the page cancels it while the server is asked', async () => {
    const page = new Page(await net.job());
    net.world.answers.set('revisions', () => {
      page.say('cancel');
      return Response.json(net.world.page);
    });
    const navigation = page.navigate();
    await expect(navigation.response).rejects.toMatchObject({ code: 'cancelled' });
    net.world.answers.clear();
    await expectBroken(page, navigation, 'cancelled');
  });

  it('when the page cancels it while nodes are waited for', async () => {
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    net.world.evil = () => new Response(null, { status: 500 });
    const reading = reader.read();
    await until(() => net.blobs.length > 0);
    await pass(10_000);
    page.say('cancel');
    await expect(reading).rejects.toThrow(TypeError);
    await pass(1000);
    await expectBroken(page, navigation, 'cancelled');
  });

  it('when the page has gone, at the sixth tick without a word of it', async () => {
    net = new Net(large);
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    await reader.read();
    await pass(23_999);
    expect(page.errors).toEqual([]);
    await reader.read();
    await pass(1);
    await expect(reader.read()).rejects.toThrow(TypeError);
    await expectBroken(page, navigation, 'cancelled');
  });

  it('when only another page is there', async () => {
    const page = new Page(await net.job());
    const navigation = page.navigate();
    const reader = await navigation.body();
    for (let s = 0; s < 24; s += 2) {
      page.say('ping', 'another');
      await pass(2000);
    }
    await expect(reader.read()).rejects.toThrow(TypeError);
    await expectBroken(page, navigation, 'cancelled');
  });

  it('not while the page says every 5 seconds that it is there', async () => {
    const page = new Page(await net.job());
    const reader = await page.navigate().body();
    const parts: Uint8Array[] = [];
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value.slice());
      for (let s = 0; s < 600; s += 5) {
        await pass(5000);
        page.say('ping');
      }
    }
    expect(same(concat(...parts), pattern(700_000))).toBe(true);
    expect(page.kinds.at(-1)).toBe('done');
  });

  it('not when the page is heard of before the sixth tick', async () => {
    const page = new Page(await net.job());
    const reader = await page.navigate().body();
    for (let i = 0; i < 5; i++) {
      await pass(20_000);
      page.say('ping');
    }
    expect(same(await rest(reader), pattern(700_000))).toBe(true);
  });
});
