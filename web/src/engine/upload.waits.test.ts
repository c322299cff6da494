import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { toText } from '../format/id.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { both, pass, until } from './clock.kit.ts';
import {
  alone,
  blobOf,
  type Conduct,
  dead,
  first,
  honest,
  nameOf,
  refuses,
  Sender,
  Storing,
  says,
  signed,
  silent,
  type TestBlob,
  UploadWorld,
} from './upload.kit.ts';
import type { Upload } from './upload.ts';
import { makeNode, problemAnswer, receipt, type TestNode } from './world.kit.ts';

// Tickets that run out, nodes and servers that are away for longer, and how long a sender waits for whom.

let blob: TestBlob;
let other: TestBlob;
let world: UploadWorld;
let sender: Sender;
beforeAll(async () => {
  blob = await blobOf(pattern(5000));
  other = await blobOf(pattern(70));
});
beforeEach(async () => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  world = await UploadWorld.make();
  world.install();
  sender = new Sender(world);
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const start = async (): Promise<Storing> => new Storing(await sender.open(), blob);
/** The tickets that nodes were shown. */
const shown = (): (string | undefined)[] => world.posts.map(({ post }) => post.headers.get('holdfast-ticket'));
const gone = (): never => {
  throw new TypeError('network');
};

describe('an upload', () => {
  it('is opened for its bytes and days', async () => {
    const upload = await sender.open();
    expect(upload.id).toBe(toText(world.upload));
    expect(world.calls).toMatchObject([{ what: 'openUpload', body: '{"bytes":10000,"days":7}' }]);
    expect(world.calls[0]?.authorization).toBeUndefined();
  });

  it('is not opened with a node that is another than it says', async () => {
    const grant = await world.grant();
    const [a, b] = grant.nodes;
    const nodes = [{ ...a, declaration: b?.declaration }, b];
    world.answers.set('openUpload', () => Response.json({ ...grant, nodes, secret: world.secret }));
    await expect(sender.open()).rejects.toMatchObject({ code: 'integrity' });
    expect(world.calls.at(-1), 'what it reserved is given back').toMatchObject({
      what: 'abandonUpload',
      authorization: `Bearer ${world.secret}`,
    });
  });

  it.each(['for another upload', 'that is a receipt'])('is not opened with a ticket %s', async (kind) => {
    const grant = await world.grant();
    const other = await (await UploadWorld.make()).grant();
    const ticket =
      kind === 'for another upload'
        ? other.ticket
        : await receipt(world.nodes[0], world.upload, [[blob.name, blob.bytes.length]]);
    world.answers.set('openUpload', () => Response.json({ ...grant, ticket, secret: world.secret }));
    await expect(sender.open()).rejects.toMatchObject({ code: 'envelope' });
  });

  it('is not opened when nobody is known of those that its ticket names', async () => {
    const grant = await world.grant();
    world.answers.set('openUpload', () => Response.json({ ...grant, nodes: [], secret: world.secret }));
    await expect(sender.open()).rejects.toMatchObject({ code: 'no-placement' });
    expect(world.calls.at(-1)?.what).toBe('abandonUpload');
  });

  it('can be given up when its sender has cancelled', async () => {
    const upload = await sender.open();
    sender.abort.abort();
    await upload.abandon();
    expect(world.calls.at(-1)).toMatchObject({
      what: 'abandonUpload',
      url: `/api/v1/uploads/${toText(world.upload)}`,
      authorization: `Bearer ${world.secret}`,
    });
  });
});

describe('a ticket', () => {
  it('serves while five minutes of it are left', async () => {
    world.lifetime = 301;
    await (await start()).over();
    expect(world.count('getUpload')).toBe(0);
  });

  it('is renewed before that, once for all that follows', async () => {
    world.lifetime = 300;
    const upload = await sender.open();
    const old = world.ticket;
    world.lifetime = 3600;
    expect(await new Storing(upload, blob).over()).toBe('stored');
    expect(await new Storing(upload, other).over()).toBe('stored');
    expect(world.calls.map((c) => c.what)).toEqual(['openUpload', 'getUpload']);
    expect(shown()).toEqual([world.ticket, world.ticket]);
    expect(world.ticket).not.toBe(old);
  });

  it('that is renewed may open other ways, over nodes that were not known', async () => {
    world.lifetime = 300;
    const upload = await sender.open();
    const [, nz] = world.nodes;
    const no = await makeNode('NO', 'Four');
    world.chains = [[no, nz]];
    const run = new Storing(upload, blob);
    expect(await run.over()).toBe('stored');
    expect(sender.asked).toEqual(['NO']);
    expect(upload.receipts.holders(blob.name).map((n) => n.place.operator)).toEqual(['Four', 'Two']);
  });

  it('is renewed when nodes say that it has expired, for their clocks count', async () => {
    const upload = await sender.open();
    const old = world.ticket;
    world.lifetime = 3601;
    await world.grant(); // which nodes take from now on
    const run = new Storing(upload, blob);
    await pass(0);
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS']);
    await pass(1000);
    expect(await run.over()).toBe('stored');
    expect(shown()).toEqual([old, old, old, world.ticket]);
    expect(await new Storing(upload, other).over()).toBe('stored');
    expect(world.count('getUpload')).toBe(1);
  });

  it('is not held up for ever by one node that says its receipt again and again', async () => {
    const upload = await sender.open();
    world.all(dead);
    world.conduct.set(world.nodes[0], says(signed()));
    const run = new Storing(upload, blob);
    await both(5000, () => run.outcome !== undefined);
    expect(run.outcome).toMatchObject({ code: 'no-placement' });
  });

  it('that nodes take for expired is not shown again while the server is away', async () => {
    const upload = await sender.open();
    world.all(refuses('ticket-expired'));
    world.answers.set('getUpload', gone);
    const run = new Storing(upload, blob);
    expect(await run.given(3600)).toMatchObject({ code: 'unreachable' });
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS']);
  });

  it.each([
    ['cannot be reached', gone],
    ['is restarted', () => new Response(null, { status: 502 })],
    ['has too much to do', () => problemAnswer('unavailable', 503)],
  ])('serves to its end when the server %s', async (_, answer) => {
    world.lifetime = 100;
    const upload = await sender.open();
    world.answers.set('getUpload', answer);
    expect(await new Storing(upload, blob).over()).toBe('stored');
    expect(sender.notes).toEqual([undefined]);
    expect(await new Storing(upload, other).over()).toBe('stored');
    expect(world.count('getUpload')).toBe(2);
  });

  it('that is over is waited for until the server is back', async () => {
    world.lifetime = 100;
    const upload = await sender.open();
    vi.setSystemTime(Date.now() + 101_000);
    world.answers.set('getUpload', gone);
    const run = new Storing(upload, blob);
    await pass(3500);
    expect(world.posts).toEqual([]);
    expect(sender.notes).toEqual([1, 2, 1, 4].map((seconds) => ({ kind: 'retrying', seconds })));
    world.answers.clear();
    await pass(3500);
    expect(await run.over()).toBe('stored');
    expect(world.count('getUpload')).toBe(4);
  });

  it('that is over ends the upload when the server stays away', async () => {
    world.lifetime = 100;
    const upload = await sender.open();
    vi.setSystemTime(Date.now() + 101_000);
    world.answers.set('getUpload', gone);
    const run = new Storing(upload, blob);
    expect(await run.given(3600)).toMatchObject({ code: 'unreachable' });
    expect(run.took).toBeGreaterThan(300);
    expect(run.took).toBeLessThan(330);
    expect(world.posts).toEqual([]);
  });

  it('cannot be renewed for an upload that the server does not know', async () => {
    world.lifetime = 100;
    const upload = await sender.open();
    world.answers.set('getUpload', () => problemAnswer('upload-unknown', 404));
    expect(await new Storing(upload, blob).over()).toMatchObject({ code: 'internal', detail: 'upload-unknown' });
    expect(world.posts).toEqual([]);
  });
});

describe('a node that was away', () => {
  let upload: Upload;
  let de: TestNode;
  let nz: TestNode;
  beforeEach(async () => {
    [de, nz] = world.nodes;
    upload = await sender.open();
    world.conduct.set(de, dead);
    expect(await new Storing(upload, blob).over()).toBe('stored');
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS']);
    world.conduct.delete(de);
    world.posts.length = 0;
  });

  it('is left in peace by the blobs of the next two seconds', async () => {
    await pass(1999);
    expect(await new Storing(upload, other).over()).toBe('stored');
    expect(sender.asked).toEqual(['NZ']); // which hands it to the other of its chain
  });

  it('is asked again after them, although the others never failed', async () => {
    await pass(2000);
    expect(await new Storing(upload, other).over()).toBe('stored');
    expect(sender.asked).toEqual(['DE']);
  });

  it('does its part at once when another one is away later', async () => {
    await pass(2000);
    world.conduct.set(de, alone);
    world.conduct.set(nz, dead);
    expect(await new Storing(upload, other).over()).toBe('stored');
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS']);
    expect(sender.count('retrying')).toBe(0);
  });

  it('and is so again rests for longer, until it has stored something', async () => {
    let size = 100;
    const asked = async (conduct: Conduct, ms: number): Promise<string[]> => {
      world.conduct.set(de, conduct);
      world.posts.length = 0;
      await pass(ms);
      expect(await new Storing(upload, await blobOf(pattern(size++))).over()).toBe('stored');
      return sender.asked;
    };
    expect(await asked(dead, 2000)).toEqual(['DE', 'NZ', 'IS']);
    expect(await asked(honest, 3999)).toEqual(['NZ']);
    expect(await asked(honest, 1)).toEqual(['DE']);
    expect(await asked(dead, 0)).toEqual(['DE', 'NZ', 'IS']);
    expect(await asked(honest, 2000)).toEqual(['DE']);
  });
});

describe('while all nodes are away', () => {
  beforeEach(() => world.all(dead));
  const waits = (): (number | undefined)[] => sender.notes.filter((n) => n?.kind === 'retrying').map((n) => n?.seconds);
  const down = (from: number): number[] => Array.from({ length: from }, (_, i) => from - i);

  it('every round asks each node once, and the waits between them are counted down', async () => {
    const run = await start();
    await pass(1000 * (1 + 2 + 4 + 8 + 15 + 15) - 1);
    expect(waits()).toEqual([1, 2, 4, 8, 15, 15].flatMap(down));
    expect(sender.asked).toEqual(Array(6).fill(['DE', 'NZ', 'IS']).flat());
    expect(sender.count('failover')).toBe(18);
    await pass(1);
    expect(sender.asked).toHaveLength(21);
    await run.given(3600);
  });

  it('the upload ends when nothing was stored for five minutes', async () => {
    const run = await start();
    expect(await run.given(3600)).toMatchObject({ name: 'EngineError', code: 'nodes-away' });
    expect(run.took).toBeGreaterThan(300);
    expect(run.took).toBeLessThan(330);
    await pass(60_000);
    expect(sender.asked).toHaveLength(world.posts.length);
  });

  it('nine rounds are made, however long each takes', async () => {
    const trickle: Conduct = async (post) => {
      for (let bytes = 1; post.state === 'open'; bytes++) {
        await new Promise((resolve) => setTimeout(resolve, 9000));
        post.accept(bytes);
      }
    };
    world.all(trickle);
    const run = await start();
    expect(await run.given(3600)).toMatchObject({ code: 'nodes-away' });
    expect(sender.asked).toEqual(Array(9).fill(['DE', 'NZ', 'IS']).flat());
    expect(run.took).toBeGreaterThan(500);
    await pass(9000);
  });

  it('one copy alone is told as such', async () => {
    const [de] = world.nodes;
    world.conduct.set(de, first(says(signed()), dead));
    const run = await start();
    await until(() => sender.events.stored.mock.calls.length === 1);
    expect(await run.given(3600)).toMatchObject({ name: 'EngineError', code: 'no-placement' });
    expect(sender.events.stored.mock.calls).toEqual([[blob.name, 5000, 1]]);
  });

  it('whoever comes back is asked in the next round, and the note goes', async () => {
    const run = await start();
    await pass(2500);
    world.all(honest);
    await pass(500);
    expect(await run.over()).toBe('stored');
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS', 'DE', 'NZ', 'IS', 'DE']);
    expect(sender.notes.at(-1)).toBeUndefined();
    expect(run.took).toBe(3);
  });

  it('a receipt for another blob renews the patience', async () => {
    const upload = await sender.open();
    const run = new Storing(upload, blob);
    await run.given(240);
    const [de, nz] = world.nodes;
    world.conduct.set(de, (post, ...rest) =>
      (nameOf(post) === toText(other.name) ? says(signed(), signed(nz)) : dead)(post, ...rest),
    );
    const second = new Storing(upload, other);
    await pass(1000); // all of them rest
    expect(await second.over()).toBe('stored');
    expect(await run.given(290)).toBeUndefined();
    expect(await run.given(60)).toMatchObject({ code: 'nodes-away' });
  });

  it('time without a network counts for nothing, and its end is not waited for', async () => {
    const run = await start();
    world.navigator.onLine = false;
    expect(await run.given(3605)).toBeUndefined(); // five of the 15 seconds of a wait are over
    expect(sender.notes.at(-1)).toEqual({ kind: 'offline' });
    expect(waits()).toEqual([]);
    world.navigator.onLine = true;
    world.all(honest);
    await pass(1000);
    expect(await run.over()).toBe('stored');
  });

  it('a network that comes back renews the patience', async () => {
    const run = await start();
    world.navigator.onLine = false;
    await run.given(1000);
    world.navigator.onLine = true;
    expect(await run.given(300)).toBeUndefined();
    expect(await run.given(60)).toMatchObject({ code: 'nodes-away' });
  });

  it('cancelling ends a wait within a second, and asks nobody any more', async () => {
    const run = await start();
    await pass(40_000);
    const before = world.posts.length;
    sender.abort.abort();
    await pass(1000);
    expect(run.outcome).toMatchObject({ name: 'EngineError', code: 'cancelled' });
    await pass(60_000);
    expect(world.posts).toHaveLength(before);
  });

  it('cancelling ends a wait for the server within a second', async () => {
    world.lifetime = 0;
    world.answers.set('getUpload', gone);
    const run = await start();
    await pass(40_000);
    sender.abort.abort();
    await pass(1000);
    expect(run.outcome).toMatchObject({ code: 'cancelled' });
  });
});

describe('cancelling', () => {
  it('ends a question to the server that is not answered', async () => {
    world.lifetime = 100;
    world.answers.set('getUpload', () => new Promise(() => {}));
    const run = await start();
    await until(() => world.count('getUpload') === 1);
    sender.abort.abort();
    expect(await run.over()).toMatchObject({ name: 'EngineError', code: 'cancelled' });
    expect(world.posts).toEqual([]);
  });

  it('stops what goes out', async () => {
    world.all(silent);
    const run = await start();
    await pass(5000);
    sender.abort.abort();
    await pass(0);
    expect(run.outcome).toMatchObject({ name: 'EngineError', code: 'cancelled' });
    expect(world.posts.map(({ post }) => post.state)).toEqual(['aborted']);
  });

  it.each([
    ['just before', (fail: () => unknown) => [sender.abort.abort(), fail()]],
    ['just after', (fail: () => unknown) => [fail(), sender.abort.abort()]],
  ])('%s a node fails it is what counts', async (_, both) => {
    world.all((post, node, w) => void both(() => refuses('read-only')(post, node, w)));
    const run = await start();
    await pass(0);
    expect(run.outcome).toMatchObject({ name: 'EngineError', code: 'cancelled' });
    expect(world.posts).toHaveLength(1);
    expect(sender.notes).toEqual([]);
  });
});
