import { getEventListeners } from 'node:events';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Event } from '../api/types.gen.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { fakeFetch, fakeXhr, type Post } from './post.kit.ts';
import type { Put } from './put.ts';

// One blob to one node, over both ways by which browsers send it.

const BODY = pattern(1 << 20);
const AGENT = { XMLHttpRequest: 'Mozilla/5.0 Chrome/156.0.0.0', fetch: 'Mozilla/5.0 Gecko/20100101 Firefox/153.0' };
type Way = keyof typeof AGENT;

/** What the time-outs of put.ts come to for BODY. */
const BODY_MS = 20_000 + BODY.length / 8;
const ANSWER_MS = 30_000 + BODY.length / 32;

let putBlob: (put: Put) => Promise<void>;
let EngineError: typeof import('./types.ts').EngineError;
/** Which browser this is, is looked up when the module is loaded. */
async function load(way: Way): Promise<void> {
  vi.stubGlobal('navigator', { userAgent: AGENT[way] });
  vi.resetModules();
  ({ putBlob } = await import('./put.ts'));
  ({ EngineError } = await import('./types.ts'));
  vi.unstubAllGlobals();
}

let posts: Post[];
let health: (url: string, init: RequestInit) => Promise<Response>;
let asked: { url: string; init: RequestInit }[];
let runs: { signal: AbortSignal; settled: boolean }[];
beforeEach(() => {
  vi.useFakeTimers();
  [posts, asked, runs] = [[], [], []];
  health = () => Promise.resolve(Response.json({}));
  const fetch = fakeFetch(
    (post) => posts.push(post),
    (url, init) => {
      asked.push({ url, init });
      return health(url, init);
    },
  );
  vi.stubGlobal(
    'XMLHttpRequest',
    fakeXhr((post) => posts.push(post)),
  );
  vi.stubGlobal('fetch', fetch);
});
afterEach(() => {
  for (const { signal, settled } of runs) {
    expect(settled).toBe(true);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  }
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** A put that goes on, and all that came of it so far. */
interface Run {
  readonly post: Post;
  readonly signal: AbortSignal;
  readonly events: Event[];
  readonly sent: number[];
  readonly cancel: () => void;
  /** "stored", or the error. */
  outcome: unknown;
  settled: boolean;
}
function start(onEvent?: Put['onEvent']): Run {
  const abort = new AbortController();
  const events: Event[] = [];
  const sent: number[] = [];
  const done = putBlob({
    url: 'https://de.test',
    ticket: 'the-ticket',
    name: 'the-name',
    chain: 3,
    body: BODY,
    signal: abort.signal,
    onSent: (bytes) => sent.push(bytes),
    onEvent: onEvent ?? (async (event) => void events.push(event)),
  });
  const [post] = posts;
  if (!post) throw new RangeError('nothing was sent');
  const { signal } = abort;
  const run: Run = { post, signal, events, sent, cancel: () => abort.abort(), outcome: undefined, settled: false };
  const settle = (outcome: unknown): void => {
    run.outcome = outcome;
    run.settled = true;
  };
  done.then(() => settle('stored'), settle);
  runs.push(run);
  return run;
}

/** Time goes on, and with it all that waits for nothing else. */
const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const line = (event: object): string => `${JSON.stringify(event)}\n`;
const nodeError = (code: string): object => expect.objectContaining({ name: 'NodeError', code });

/** The node takes the body and begins to answer. */
async function begun(run: Run, status = 200): Promise<void> {
  run.post.accept(BODY.length);
  run.post.begin(status);
  await pass();
}
async function finish(run: Run): Promise<void> {
  run.post.end();
  await pass();
}

describe.each(Object.keys(AGENT) as Way[])('a blob sent by %s', (way) => {
  beforeAll(() => load(way));

  it('goes to one fixed address, with ticket, name and chain in headers', async () => {
    const run = start();
    expect(run.post).toMatchObject({ url: 'https://de.test/blobs', method: 'POST' });
    expect(Object.fromEntries(run.post.headers)).toEqual({
      'holdfast-version': '1',
      'holdfast-ticket': 'the-ticket',
      'holdfast-blob': 'the-name',
      'holdfast-chain': '3',
      'holdfast-copies': '2',
      'content-type': 'application/octet-stream',
    });
    expect(Buffer.from(run.post.body).equals(BODY)).toBe(true);
    await begun(run);
    await finish(run);
    expect(run.outcome).toBe('stored');
  });

  const told = [{ receipt: 'ü\u{1F642}' }, {}, { failed: { node: 'n', code: 'node-io' } }, { receipt: 'b' }];
  const text = new TextEncoder().encode(told.map(line).join('\n'));
  it.each([1, 7, 64, text.length])('gives out its events when they come in chunks of %d bytes', async (size) => {
    const run = start();
    await begun(run);
    for (let at = 0; at < text.length; at += size) run.post.say(text.subarray(at, at + size));
    await finish(run);
    expect(run.events).toEqual(told);
    expect(run.outcome).toBe('stored');
  });

  it('gives an event out when its line is whole, before the answer ends', async () => {
    const run = start();
    await begun(run);
    run.post.say('{"receipt":"a"}\n{"receipt":');
    await pass();
    expect(run.events).toEqual([{ receipt: 'a' }]);
    run.post.say('"b"}\n');
    await pass();
    expect(run.events).toHaveLength(2);
    expect(run.outcome).toBeUndefined();
    await finish(run);
  });

  it('is over only when the last event was taken, one after the other', async () => {
    const takes: (() => void)[] = [];
    const run = start(() => new Promise((resolve) => takes.push(resolve)));
    await begun(run);
    run.post.say(line({ receipt: 'a' }) + line({ receipt: 'b' }));
    await finish(run);
    expect(takes).toHaveLength(1);
    takes[0]?.();
    await pass();
    expect(takes).toHaveLength(2);
    expect(run.outcome).toBeUndefined();
    takes[1]?.();
    await pass();
    expect(run.outcome).toBe('stored');
  });

  it.each([
    ['text', 'stored, I promise\n'],
    ['half an object', '{"receipt":"a"\n'],
    ['null', 'null\n'],
    ['a number', '7\n'],
    ['a receipt that is no text', '{"receipt":1}\n'],
    ['a failure that names nobody', '{"failed":"node-io"}\n'],
    ['a failure that is null', '{"failed":null}\n'],
    ['a line without an end', 'x'.repeat((1 << 20) + 1)],
    ['more lines than any answer has', '{}\n'.repeat((1 << 20) / 3 + 1)],
  ])('%s in its answer is garbage, and the rest is not heard', async (_, said) => {
    const run = start();
    await begun(run);
    run.post.say(line({ receipt: 'a' }));
    run.post.say(said);
    await pass();
    expect(run.outcome).toEqual(nodeError('garbage'));
    expect(run.events[0]).toEqual({ receipt: 'a' });
    expect(run.post.state).toBe('aborted');
  });

  it('may be answered with 1 MiB of events', async () => {
    const run = start();
    await begun(run);
    const last = line({ receipt: 'a' });
    run.post.say('\n'.repeat((1 << 20) - last.length));
    run.post.say(last);
    await finish(run);
    expect(run.events).toEqual([{ receipt: 'a' }]);
    expect(run.outcome).toBe('stored');
  });

  it('an event that does not hold ends it, in the middle of the answer', async () => {
    const run = start(() => Promise.reject(new EngineError('integrity')));
    await begun(run);
    run.post.say(line({ receipt: 'a' }));
    await pass();
    expect(run.outcome).toMatchObject({ code: 'integrity' });
    expect(run.post.state).toBe('aborted');
  });

  it.each([
    [403, '{"type":"urn:holdfast:problem:ticket-spent","code":"ticket-spent"}', 'ticket-spent'],
    [507, '{"receipt":"a","code":"read-only"}\n', 'read-only'],
    [502, '<html>Bad Gateway</html>', 'HTTP 502'],
    [500, 'null', 'HTTP 500'],
  ])('HTTP %d with %s is told as such', async (status, body, code) => {
    const run = start();
    await begun(run, status);
    run.post.say(body);
    await finish(run);
    expect(run.outcome).toEqual(nodeError(code));
    expect(run.events).toEqual([]);
  });

  it('a connection that breaks is told, before the answer and in the middle of it', async () => {
    const early = start();
    early.post.cut();
    await pass();
    expect(early.outcome).toEqual(nodeError('unreachable'));
    posts.length = 0;
    const late = start();
    await begun(late);
    late.post.say(line({ receipt: 'a' }));
    await pass();
    late.post.cut();
    await pass();
    expect(late.outcome).toEqual(nodeError('unreachable'));
    expect(late.events).toEqual([{ receipt: 'a' }]);
  });

  it.each([
    ['while the body goes out', async () => {}],
    ['before the first event', begun],
    ['between events', async (run: Run) => begun(run).then(() => run.post.say('{}\n'))],
  ])('cancelled %s it stops at once', async (_, until) => {
    const run = start();
    await until(run);
    run.cancel();
    await pass();
    expect(run.outcome).toBeInstanceOf(EngineError);
    expect(run.outcome).toMatchObject({ code: 'cancelled' });
    expect(run.post.state).toBe('aborted');
  });

  it('a node that takes the body and says only that it is at work is left in the end', async () => {
    const run = start();
    await begun(run);
    for (let ms = 3000; ms < ANSWER_MS; ms += 3000) {
      await pass(3000);
      expect(run.outcome).toBeUndefined();
      run.post.say('{}\n');
    }
    await pass(3000);
    expect(run.outcome).toEqual(nodeError('stalled'));
    expect(run.post.state).toBe('aborted');
  });
});

describe('by XMLHttpRequest', () => {
  beforeAll(() => load('XMLHttpRequest'));

  it('tells how many bytes are out', async () => {
    const run = start();
    for (const bytes of [1000, 500_000, BODY.length]) run.post.accept(bytes);
    expect(run.sent).toEqual([1000, 500_000, BODY.length]);
    run.post.begin(200);
    await finish(run);
    expect(asked).toEqual([]);
  });

  it('a node that accepts no byte for 10 seconds is left', async () => {
    const run = start();
    await pass(9000);
    run.post.accept(1000);
    await pass(9999);
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
    expect(run.post.state).toBe('aborted');
  });

  it('a node that says nothing for 10 seconds is left', async () => {
    const run = start();
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
    const run = start();
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
    const run = start();
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
  beforeAll(() => load('fetch'));
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
    const run = start();
    run.post.accept(BODY.length);
    await pass();
    expect(run.sent).toEqual([]);
    await begun(run);
    expect(run.sent).toEqual([BODY.length]);
    await finish(run);
  });

  it('a refused body is not told as sent', async () => {
    const run = start();
    await begun(run, 507);
    await finish(run);
    expect(run.sent).toEqual([]);
  });

  it('a node that answers no more is left long before the body’s time is over', async () => {
    health = silent;
    const run = start();
    await pass(25_999); // asked after 3 seconds, given up after 10, and once more
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
    expect(run.post.state).toBe('aborted');
    expect(asked).toHaveLength(2);
  });

  it('a node that went away is left when two questions in a row went unanswered', async () => {
    health = () => Promise.reject(new TypeError('network'));
    const run = start();
    await pass(5999);
    expect(run.outcome).toBeUndefined();
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
  });

  it('a node that answers every second question is kept while the body may take its time', async () => {
    health = () =>
      asked.length % 2 === 1 ? Promise.reject(new TypeError('network')) : Promise.resolve(Response.json({}));
    const run = start();
    await pass(BODY_MS - 1);
    expect(run.outcome).toBeUndefined();
    expect(asked.length).toBeGreaterThan(40);
    await pass(1);
    expect(run.outcome).toEqual(nodeError('stalled'));
  });

  it('a node that only answers slowly, or with an error, is kept', async () => {
    health = () => new Promise((resolve) => setTimeout(() => resolve(new Response(null, { status: 503 })), 9999));
    const run = start();
    await pass(120_000);
    expect(run.outcome).toBeUndefined();
    await begun(run);
    run.post.say(line({ receipt: 'a' }));
    await finish(run);
    expect(run.outcome).toBe('stored');
    expect(run.events).toEqual([{ receipt: 'a' }]);
    const before = asked.length;
    await pass(30_000); // the last answer comes when nobody waits for it
    expect(asked).toHaveLength(before);
  });

  it('asks for nothing but the health, without credentials, and no more once the body is through', async () => {
    const run = start();
    await pass(9000);
    expect(asked.map((a) => a.url)).toEqual(Array(3).fill('https://de.test/health?v=1'));
    expect(asked[0]?.init).toMatchObject({ cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer' });
    await begun(run);
    await finish(run);
    await pass(60_000);
    expect(asked).toHaveLength(3);
  });
});
