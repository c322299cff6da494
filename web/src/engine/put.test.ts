import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pass } from './clock.kit.ts';
import { line } from './post.kit.ts';
import { AGENT, ANSWER_MS, Bench, BODY, begun, cancelled, finish, nodeError, type Run, type Way } from './put.kit.ts';

// One blob to one node, over both ways by which browsers send it: what they have in common.

const bench = new Bench();
beforeEach(() => bench.open());
afterEach(() => bench.close());

describe.each(Object.keys(AGENT) as Way[])('a blob sent by %s', (way) => {
  beforeAll(() => bench.load(way));

  it('goes to one fixed address, with ticket, name and chain in headers', async () => {
    const run = bench.start();
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
    const run = bench.start();
    await begun(run);
    for (let at = 0; at < text.length; at += size) run.post.say(text.subarray(at, at + size));
    await finish(run);
    expect(run.events).toEqual(told);
    expect(run.outcome).toBe('stored');
  });

  it('gives an event out when its line is whole, before the answer ends', async () => {
    const run = bench.start();
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
    const run = bench.start(() => new Promise((resolve) => takes.push(resolve)));
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
    const run = bench.start();
    await begun(run);
    run.post.say(line({ receipt: 'a' }));
    run.post.say(said);
    await pass();
    expect(run.outcome).toEqual(nodeError('garbage'));
    expect(run.events[0]).toEqual({ receipt: 'a' });
    expect(run.post.state).toBe('aborted');
  });

  it('may be answered with 1 MiB of events', async () => {
    const run = bench.start();
    await begun(run);
    const last = line({ receipt: 'a' });
    run.post.say('\n'.repeat((1 << 20) - last.length));
    run.post.say(last);
    await finish(run);
    expect(run.events).toEqual([{ receipt: 'a' }]);
    expect(run.outcome).toBe('stored');
  });

  it('an event that does not hold ends it, in the middle of the answer', async () => {
    const run = bench.start(() => Promise.reject(bench.engineError('integrity')));
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
    const run = bench.start();
    await begun(run, status);
    run.post.say(body);
    await finish(run);
    expect(run.outcome).toEqual(nodeError(code));
    expect(run.events).toEqual([]);
  });

  it('a refusal without an end is not read on', async () => {
    const run = bench.start();
    await begun(run, 500);
    run.post.say('x'.repeat(1 << 20));
    await pass();
    expect(run.outcome).toBeUndefined();
    run.post.say('x');
    await pass();
    expect(run.outcome).toEqual(nodeError('garbage'));
    expect(run.post.state).toBe('aborted');
  });

  it('is not sent when it was cancelled before', async () => {
    expect(await bench.startCancelled()).toEqual({ outcome: cancelled(), posts: 0 });
  });

  it('a connection that breaks is told, before the answer and in the middle of it', async () => {
    const early = bench.start();
    early.post.cut();
    await pass();
    expect(early.outcome).toEqual(nodeError('unreachable'));
    const late = bench.start();
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
    const run = bench.start();
    await until(run);
    run.cancel();
    await pass();
    expect(run.outcome).toEqual(cancelled());
    expect(run.post.state).toBe('aborted');
  });

  it('a node that takes the body and says only that it is at work is left in the end', async () => {
    const run = bench.start();
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
