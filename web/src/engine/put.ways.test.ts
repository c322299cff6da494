import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { pass } from './clock.kit.ts';
import { line } from './post.kit.ts';
import { Bench, BODY, BODY_MS, begun, finish, nodeError } from './put.kit.ts';

// One blob to one node: what XMLHttpRequest tells and fetch does not, and how a node is left by either.

const bench = new Bench();
beforeEach(() => bench.open());
afterEach(() => bench.close());

describe('by XMLHttpRequest', () => {
  beforeAll(() => bench.load('XMLHttpRequest'));

  it('tells how many bytes are out', async () => {
    const run = bench.start();
    for (const bytes of [1000, 500_000, BODY.length]) run.post.accept(bytes);
    expect(run.sent).toEqual([1000, 500_000, BODY.length]);
    run.post.begin(200);
    await finish(run);
    expect(bench.asked).toEqual([]);
  });

  it('a node that accepts no byte for 10 seconds is left', async () => {
    const run = bench.start();
    await pass(9000);
    run.post.accept(1000);
    await pass(9999);
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
    expect(run.post.state).toBe('aborted');
  });

  it('a node that says nothing for 10 seconds is left', async () => {
    const run = bench.start();
    await begun(run);
    for (let i = 0; i < 3; i++) {
      await pass(9999);
      run.post.say('{}\n');
    }
    await pass(9999);
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
  });

  it('a slow line is not left while bytes go out', async () => {
    const run = bench.start();
    const rounds = Math.floor(BODY_MS / 9000);
    for (let i = 1; i <= rounds; i++) {
      await pass(9000);
      run.post.accept(Math.floor((BODY.length * i) / rounds));
    }
    await pass(9000);
    expect(run.outcome).toBeUndefined(); // the body's time was over, but not before all of it was out
    run.post.begin(200);
    await finish(run);
    expect(run.outcome).toBe('stored');
  });

  it('a line that only trickles is left when the body’s time is over', async () => {
    const run = bench.start();
    for (let ms = 5000; ms < BODY_MS; ms += 5000) {
      await pass(5000);
      expect(run.outcome).toBeUndefined();
      run.post.accept(ms / 5000);
    }
    await pass(5000);
    expect(run.outcome).toEqual(nodeError('stalled'));
  });
});

describe('by fetch', () => {
  beforeAll(() => bench.load('fetch'));
  /** Time-outs of signals as timers like others, so that the test's clock moves them; nobody can stop them. */
  let timeouts: ReturnType<typeof setTimeout>[];
  beforeEach(() => {
    timeouts = [];
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      const abort = new AbortController();
      timeouts.push(setTimeout(() => abort.abort(new DOMException('', 'TimeoutError')), ms));
      return abort.signal;
    });
  });
  afterEach(() => {
    for (const timeout of timeouts) clearTimeout(timeout);
  });
  /** A node that does not answer: a request ends when its sender gives it up. */
  const silent = (_: string, { signal }: RequestInit): Promise<Response> =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));

  it('all bytes are told as sent when the answer begins, and no sooner', async () => {
    const run = bench.start();
    run.post.accept(BODY.length);
    await pass();
    expect(run.sent).toEqual([]);
    await begun(run);
    expect(run.sent).toEqual([BODY.length]);
    await finish(run);
  });

  it('a node that says nothing for 10 seconds once it answers is left, whatever it says of its health', async () => {
    const run = bench.start();
    await begun(run);
    for (let i = 0; i < 3; i++) {
      await pass(9999);
      run.post.say('{}\n');
      await pass(0);
    }
    await pass(9999);
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
  });

  it('a refused body is not told as sent', async () => {
    const run = bench.start();
    await begun(run, 507);
    await finish(run);
    expect(run.sent).toEqual([]);
  });

  it('a node that answers no more is left long before the body’s time is over', async () => {
    bench.health = silent;
    const run = bench.start();
    await pass(25_999); // bench.asked after 3 seconds, given up after 10, and once more
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
    expect(run.post.state).toBe('aborted');
    expect(bench.asked).toHaveLength(2);
  });

  it('a node that went away is left when two questions in a row went unanswered', async () => {
    bench.health = () => Promise.reject(new TypeError('network'));
    const run = bench.start();
    await pass(5999);
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
  });

  it('a node that answers every second question is kept while the body may take its time', async () => {
    bench.health = () =>
      bench.asked.length % 2 === 1 ? Promise.reject(new TypeError('network')) : Promise.resolve(Response.json({}));
    const run = bench.start();
    await pass(BODY_MS - 1);
    expect(run.outcome).toBeUndefined();
    expect(bench.asked.length).toBeGreaterThan(40);
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
  });

  it('a node that only answers slowly, or with an error, is kept', async () => {
    bench.health = () => new Promise((resolve) => setTimeout(() => resolve(new Response(null, { status: 503 })), 9999));
    const run = bench.start();
    await pass(120_000);
    expect(run.outcome).toBeUndefined();
    await begun(run);
    run.post.say(line({ receipt: 'a' }));
    await finish(run);
    expect(run.outcome).toBe('stored');
    expect(run.events).toEqual([{ receipt: 'a' }]);
    const before = bench.asked.length;
    await pass(30_000); // the last answer comes when nobody waits for it
    expect(bench.asked).toHaveLength(before);
  });

  it('asks for nothing but the health, without credentials, and no more once the body is through', async () => {
    const run = bench.start();
    await pass(9000);
    expect(bench.asked.map((a) => a.url)).toEqual(Array(3).fill('https://de.test/health?v=1'));
    expect(bench.asked[0]?.init).toMatchObject({
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
    await begun(run);
    await finish(run);
    await pass(60_000);
    expect(bench.asked).toHaveLength(3);
  });
});
