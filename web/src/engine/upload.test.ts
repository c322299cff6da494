import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Event } from '../api/types.gen.ts';
import { newId, newKey, toText } from '../format/id.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { pass, until } from './clock.kit.ts';
import {
  alone,
  blobOf,
  type Conduct,
  dead,
  first,
  honest,
  refuses,
  Sender,
  Storing,
  says,
  signed,
  silent,
  type Telling,
  type TestBlob,
  tells,
  UploadWorld,
} from './upload.kit.ts';
import { makeNode, receipt, type TestNode } from './world.kit.ts';

// Blobs that must stand twice, whatever nodes and server do.

let blob: TestBlob;
let other: TestBlob;
let world: UploadWorld;
let sender: Sender;
let de: TestNode;
let nz: TestNode;
let is: TestNode;
beforeAll(async () => {
  blob = await blobOf(pattern(5000));
  other = await blobOf(pattern(70));
});
beforeEach(async () => {
  vi.useFakeTimers();
  world = await UploadWorld.make();
  [de, nz, is] = world.nodes;
  world.install();
  sender = new Sender(world);
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** How many copies it was told to have, one time after the other. */
const copies = (): number[] => sender.events.stored.mock.calls.map(([, , n]) => n as number);

describe('a blob', () => {
  it('is stored when two independent nodes have signed for it', async () => {
    const upload = await sender.open();
    await upload.store(blob.name, blob.bytes);
    expect(sender.asked).toEqual(['DE']);
    expect(sender.events.stored.mock.calls).toEqual([
      [blob.name, 5000, 1],
      [blob.name, 5000, 2],
    ]);
    expect(sender.events.sent.mock.calls).toEqual([[blob.name, 5000]]);
    expect(sender.notes).toEqual([undefined]);
    const receipts = await world.opened(upload.receipts.texts(blob.name));
    expect(receipts.map((r) => toText(r.node))).toEqual([de.known.id, nz.known.id]);
    expect(upload.places([blob.name])).toEqual({ places: [de.known.place, nz.known.place], spread: false });
  });

  const faults: [string, Conduct][] = [
    ['is not there', dead],
    [
      'ends in the middle of its answer',
      async (post, node, w) => {
        await tells(() => ({}))(post, node, w);
        post.say('{"rec');
        post.cut();
      },
    ],
    ['is read-only', refuses('read-only')],
    ['cannot write', refuses('node-io')],
    ['is another than the ticket’s', refuses('ticket-other-node')],
    ['says garbage', says(() => ({ receipt: 5 }) as never)],
    ['signs nothing', says(() => ({}))],
  ];
  it.each(faults)('goes another way when the first node %s', async (what, does) => {
    world.conduct.set(de, does);
    await (await sender.open()).store(blob.name, blob.bytes);
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS']); // the second one finds the first no better than we did
    expect(sender.count('failover')).toBe(what === 'signs nothing' ? 0 : 1);
    expect(sender.notes.at(-1)).toBeUndefined();
  });

  it('goes another way when the first node stands still', async () => {
    world.conduct.set(de, silent);
    const run = new Storing(await sender.open(), blob);
    await pass(10_000);
    expect(await run.over()).toBe('stored');
    expect(sender.count('failover')).toBe(1);
  });

  it('tells of nodes that its node tried in vain', async () => {
    const failed = { node: nz.known.id, code: 'unavailable' as const };
    world.conduct.set(
      de,
      says(signed(), () => ({ failed }), signed(is)),
    );
    await (await sender.open()).store(blob.name, blob.bytes);
    expect(sender.asked).toEqual(['DE']);
    expect(sender.notes).toEqual([{ kind: 'failover' }, undefined]);
  });

  it('keeps the receipts that it has when its node fails', async () => {
    world.conduct.set(de, async (post, node, w) => {
      await tells(signed())(post, node, w);
      await until(() => sender.events.stored.mock.calls.length === 1);
      post.cut();
    });
    world.conduct.set(nz, alone);
    const upload = await sender.open();
    await upload.store(blob.name, blob.bytes);
    expect(sender.asked).toEqual(['DE', 'NZ']);
    expect(upload.receipts.holders(blob.name).map((n) => n.place.jurisdiction)).toEqual(['DE', 'NZ']);
    expect(copies()).toEqual([1, 2]);
  });

  it('is the same at each try: one name, and the bytes of it', async () => {
    world.conduct.set(de, first(dead, refuses('read-only')));
    world.conduct.set(nz, first(dead, alone));
    world.conduct.set(is, first(dead, alone));
    const upload = await sender.open();
    const run = new Storing(upload, blob);
    await pass(1000);
    expect(await run.over()).toBe('stored');
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS', 'DE', 'NZ', 'IS']);
    for (const { post } of world.posts) {
      expect(post.headers.get('holdfast-blob')).toBe(toText(blob.name));
      expect(post.body).toEqual(blob.bytes);
    }
    expect(upload.places([blob.name])).toEqual({ places: [nz.known.place, is.known.place], spread: false });
  });

  it('stands at other places than the next when a node was left between them', async () => {
    const upload = await sender.open();
    await upload.store(blob.name, blob.bytes);
    world.conduct.set(de, dead);
    await upload.store(other.name, other.bytes);
    const { places, spread } = upload.places([blob.name, other.name]);
    expect(places.map((p) => p.jurisdiction)).toEqual(['DE', 'NZ', 'IS']);
    expect(spread).toBe(true);
  });
});

function flipped(text: string): Event {
  const bytes = Buffer.from(text, 'base64url');
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
  return { receipt: bytes.toString('base64url') };
}

describe('T24: a receipt that does not hold', () => {
  const lies: [string, Telling][] = [
    ['of another upload', async (b, _, n) => ({ receipt: await receipt(n, newId<'upload'>(), [b]) })],
    ['of another blob', async ([, size], w, n) => ({ receipt: await receipt(n, w.upload, [[newKey(), size]]) })],
    ['of another size', async ([b, size], w, n) => ({ receipt: await receipt(n, w.upload, [[b, size + 1]]) })],
    ['under a key of nobody', async (b, w, n) => ({ receipt: await receipt(n, w.upload, [b], newKey()) })],
    [
      'under the key of another node',
      async (b, w, n) => ({ receipt: await receipt(n, w.upload, [b], n === is ? de.seed : is.seed) }),
    ],
    ['of a node that the ticket does not name', async (b, w) => signed(await makeNode('NO', 'Four'))(b, w, de)],
    ['with a signature that is not the node’s', async (...told) => flipped((await signed()(...told)).receipt ?? '')],
    ['that is no envelope', () => ({ receipt: 'AAAA' })],
  ];
  it.each(lies)('%s counts for nothing, and its node is left', async (_, lie) => {
    // The liar has a good receipt, too, behind the lie.
    world.conduct.set(de, says(lie, signed(nz), signed()));
    const upload = await sender.open();
    await upload.store(blob.name, blob.bytes);
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS']);
    expect(sender.count('failover')).toBe(1);
    expect(world.posts[0]?.post.state).not.toBe('open');
    const kept = await world.opened(upload.receipts.texts(blob.name));
    expect(kept.map((r) => [toText(r.node), r.upload, r.blobs])).toEqual(
      [nz, is].map((n) => [n.known.id, world.upload, [[blob.name, 5000]]]),
    );
  });

  it.each(lies)('%s from everybody stores nothing', async (_, lie) => {
    const liar = says(lie);
    for (const node of world.nodes) world.conduct.set(node, first(liar, dead));
    const upload = await sender.open();
    const run = new Storing(upload, blob);
    await until(() => sender.count('failover') === 3);
    expect(await run.given(3600)).toMatchObject({ code: 'nodes-away' });
    expect(sender.events.stored).not.toHaveBeenCalled();
    expect(upload.receipts.texts(blob.name)).toEqual([]);
  });

  it.each([
    ['one law', 'DE', 'Four'],
    ['one company', 'NO', ' ONE '],
  ])('nodes of %s are one copy, however many sign', async (_, law, company) => {
    const same = await makeNode(law, company, 'same');
    world.chains = [[de, same]];
    world.conduct.set(de, first(says(signed(), signed(same)), dead));
    world.conduct.set(same, dead);
    const run = new Storing(await sender.open(), blob);
    await until(() => sender.count('failover') === 1);
    expect(await run.given(3600)).toMatchObject({ name: 'EngineError', code: 'no-placement' });
    expect(copies()).toEqual([1, 1]);
  });
});

describe('a refused ticket', () => {
  it.each(['ticket-invalid', 'ticket-spent', 'upload-closed'] as const)(
    '%s at all nodes is told at once, and nobody is asked again',
    async (code) => {
      world.all(refuses(code));
      const run = new Storing(await sender.open(), blob);
      await pass(0);
      expect(run.outcome).toMatchObject({ name: 'EngineError', code: 'internal', detail: code });
      expect(sender.asked).toEqual(['DE', 'NZ', 'IS']);
      await pass(60_000);
      expect(world.posts).toHaveLength(3);
    },
  );

  it('unknown-version at all nodes is this page’s age', async () => {
    world.all(refuses('unknown-version'));
    world.conduct.set(is, refuses('ticket-invalid'));
    const run = new Storing(await sender.open(), blob);
    await pass(0);
    expect(run.outcome).toMatchObject({ code: 'out-of-date' });
  });

  it('at one node is that node’s affair', async () => {
    world.conduct.set(de, refuses('ticket-spent'));
    await (await sender.open()).store(blob.name, blob.bytes);
    expect(sender.asked).toEqual(['DE', 'NZ', 'IS']);
  });

  it('at a node that fails otherwise the next time is forgotten', async () => {
    world.conduct.set(de, first(refuses('ticket-spent'), dead));
    world.conduct.set(nz, first(dead, refuses('ticket-spent')));
    world.conduct.set(is, first(dead, refuses('ticket-spent')));
    const run = new Storing(await sender.open(), blob);
    await pass(1000);
    expect(run.outcome).toBeUndefined();
    world.all(honest);
    await pass(2000);
    expect(await run.over()).toBe('stored');
  });

  it('at one node for one blob and at the others for the next is no word of all', async () => {
    const upload = await sender.open();
    world.conduct.set(de, first(refuses('ticket-spent'), honest));
    await upload.store(blob.name, blob.bytes);
    world.conduct.set(nz, first(refuses('ticket-spent'), honest));
    world.conduct.set(is, first(refuses('ticket-spent'), honest));
    const run = new Storing(upload, other);
    await pass(1000);
    expect(await run.over()).toBe('stored');
  });

  it('at a node that has stored something since is forgotten', async () => {
    world.conduct.set(de, first(refuses('ticket-spent'), alone));
    world.conduct.set(nz, first(dead, refuses('ticket-spent')));
    world.conduct.set(is, first(dead, refuses('ticket-spent')));
    const run = new Storing(await sender.open(), blob);
    await pass(1000);
    await until(() => sender.asked.length === 6);
    await pass(0);
    expect(run.outcome).toBeUndefined();
    world.all(honest);
    await pass(2000);
    expect(await run.over()).toBe('stored');
  });
});
