import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadBlake3 } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { newId, newKey, toText } from '../format/id.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import {
  alone,
  type Conduct,
  dead,
  first,
  honest,
  refuses,
  says,
  signed,
  silent,
  type Telling,
  tells,
  UploadWorld,
  until,
} from './upload.kit.ts';
import { Upload } from './upload.ts';
import { makeNode, receipt, type TestNode } from './world.kit.ts';

// Blobs that must stand twice, whatever nodes and server do.

const body = pattern(5000);
let name: Bytes;
let other: { name: Bytes; bytes: Bytes };
let world: UploadWorld;
let de: TestNode;
let nz: TestNode;
let is: TestNode;
let abort: AbortController;
const events = { sent: vi.fn(), stored: vi.fn(), note: vi.fn() };
beforeAll(async () => {
  const blake3 = await loadBlake3();
  name = blake3.hash(body);
  other = { name: blake3.hash(pattern(70)), bytes: pattern(70) };
});
beforeEach(async () => {
  vi.useFakeTimers();
  world = await UploadWorld.make();
  [de, nz, is] = world.nodes;
  world.install();
  abort = new AbortController();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.resetAllMocks();
});

const open = (): Promise<Upload> => Upload.open(10_000, 7, abort.signal, events);
/** Names of the nodes that were asked, in order. */
const asked = (): string[] => world.posts.map(({ node }) => node.known.place.jurisdiction);
const notes = (): unknown[] => events.note.mock.calls.map(([note]) => note);
const failures = (): number => notes().filter((n) => (n as { kind: string } | undefined)?.kind === 'failover').length;
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** A store that goes on, and what came of it. */
function storing(upload: Upload, [blob, bytes]: [Bytes, Bytes] = [name, body]): { outcome: unknown; seconds: number } {
  const started = Date.now();
  const run = { outcome: undefined as unknown, seconds: 0 };
  const settle = (outcome: unknown): void => {
    run.outcome = outcome;
    run.seconds = (Date.now() - started) / 1000;
  };
  upload.store(blob, bytes).then(() => settle('stored'), settle);
  return run;
}
/** Time goes on until it is over; nothing but timers may be waited for. */
async function toItsEnd(run: { outcome: unknown }): Promise<void> {
  for (let s = 0; s < 3600 && run.outcome === undefined; s++) await pass(1000);
}

describe('a blob', () => {
  it('is stored when two independent nodes have signed for it', async () => {
    const upload = await open();
    await upload.store(name, body);
    expect(asked()).toEqual(['DE']);
    expect(events.stored.mock.calls).toEqual([
      [name, 5000, 1],
      [name, 5000, 2],
    ]);
    expect(events.sent.mock.calls).toEqual([[name, 5000]]);
    expect(notes()).toEqual([undefined]);
    const receipts = await world.opened(upload.receipts.texts(name));
    expect(receipts.map((r) => toText(r.node))).toEqual([de.known.id, nz.known.id]);
    expect(upload.places([name])).toEqual({ places: [de.known.place, nz.known.place], spread: false });
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
    await (await open()).store(name, body);
    expect(asked()).toEqual(['DE', 'NZ', 'IS']); // the second one finds the first no better than we did
    expect(failures()).toBe(what === 'signs nothing' ? 0 : 1);
    expect(notes().at(-1)).toBeUndefined();
  });

  it('goes another way when the first node stands still', async () => {
    world.conduct.set(de, silent);
    const run = storing(await open());
    await pass(10_000);
    await until(() => run.outcome !== undefined);
    expect(run.outcome).toBe('stored');
    expect(failures()).toBe(1);
  });

  it('tells of nodes that its node tried in vain', async () => {
    const failed = { node: nz.known.id, code: 'unavailable' as const };
    world.conduct.set(
      de,
      says(signed(), () => ({ failed }), signed(is)),
    );
    await (await open()).store(name, body);
    expect(asked()).toEqual(['DE']);
    expect(notes()).toEqual([{ kind: 'failover' }, undefined]);
  });

  it('keeps the receipts that it has when its node fails', async () => {
    world.conduct.set(de, async (post, node, w) => {
      await tells(signed())(post, node, w);
      await until(() => events.stored.mock.calls.length === 1);
      post.cut();
    });
    world.conduct.set(nz, alone);
    const upload = await open();
    await upload.store(name, body);
    expect(asked()).toEqual(['DE', 'NZ']);
    expect(upload.receipts.holders(name).map((n) => n.place.jurisdiction)).toEqual(['DE', 'NZ']);
    expect(events.stored.mock.calls.map(([, , copies]) => copies)).toEqual([1, 2]);
  });

  it('is the same at each try: one name, and the bytes of it', async () => {
    world.conduct.set(de, first(dead, refuses('read-only')));
    world.conduct.set(nz, first(dead, alone));
    world.conduct.set(is, first(dead, alone));
    const upload = await open();
    const run = storing(upload);
    await pass(1000);
    await until(() => run.outcome !== undefined);
    expect(run.outcome).toBe('stored');
    expect(asked()).toEqual(['DE', 'NZ', 'IS', 'DE', 'NZ', 'IS']);
    for (const { post } of world.posts) {
      expect(post.headers.get('holdfast-blob')).toBe(toText(name));
      expect(post.body).toEqual(body);
    }
    expect(upload.places([name])).toEqual({ places: [nz.known.place, is.known.place], spread: false });
  });

  it('stands at other places than the next when a node was left between them', async () => {
    const upload = await open();
    await upload.store(name, body);
    world.conduct.set(de, dead);
    await upload.store(other.name, other.bytes);
    const { places, spread } = upload.places([name, other.name]);
    expect(places.map((p) => p.jurisdiction)).toEqual(['DE', 'NZ', 'IS']);
    expect(spread).toBe(true);
  });
});

describe('T24: a receipt that does not hold', () => {
  const lies: [string, Telling][] = [
    ['of another upload', async (b, _, n) => ({ receipt: await receipt(n, newId<'upload'>(), [b]) })],
    ['of another blob', async ([, size], w, n) => ({ receipt: await receipt(n, w.upload, [[newKey(), size]]) })],
    ['of another size', async ([blob, size], w, n) => ({ receipt: await receipt(n, w.upload, [[blob, size + 1]]) })],
    ['under a key of nobody', async (b, w, n) => ({ receipt: await receipt(n, w.upload, [b], newKey()) })],
    [
      'under the key of another node',
      async (b, w, n) => ({ receipt: await receipt(n, w.upload, [b], n === is ? de.seed : is.seed) }),
    ],
    ['of a node that the ticket does not name', async (b, w) => signed(await makeNode('NO', 'Four'))(b, w, de)],
    ['that is no envelope', () => ({ receipt: 'AAAA' })],
  ];
  it.each(lies)('%s counts for nothing, and its node is left', async (_, lie) => {
    // The liar has a good receipt, too, behind the lie.
    world.conduct.set(de, says(lie, signed(nz), signed()));
    const upload = await open();
    await upload.store(name, body);
    expect(asked()).toEqual(['DE', 'NZ', 'IS']);
    expect(failures()).toBe(1);
    expect(world.posts[0]?.post.state).not.toBe('open');
    const kept = await world.opened(upload.receipts.texts(name));
    expect(kept.map((r) => [toText(r.node), r.upload, r.blobs])).toEqual(
      [nz, is].map((n) => [n.known.id, world.upload, [[name, 5000]]]),
    );
  });

  it.each(lies)('%s from everybody stores nothing', async (_, lie) => {
    const liar = says(lie);
    for (const node of world.nodes) world.conduct.set(node, first(liar, dead));
    const upload = await open();
    const run = storing(upload);
    await until(() => failures() === 3);
    await toItsEnd(run);
    expect(run.outcome).toMatchObject({ code: 'nodes-away' });
    expect(events.stored).not.toHaveBeenCalled();
    expect(upload.receipts.texts(name)).toEqual([]);
  });

  it.each([
    ['one law', 'DE', 'Four'],
    ['one company', 'NO', ' ONE '],
  ])('nodes of %s are one copy, however many sign', async (_, law, company) => {
    const same = await makeNode(law, company, 'same');
    world.chains = [[de, same]];
    world.conduct.set(de, first(says(signed(), signed(same)), dead));
    world.conduct.set(same, dead);
    const run = storing(await open());
    await until(() => failures() === 1);
    await toItsEnd(run);
    expect(run.outcome).toMatchObject({ name: 'EngineError', code: 'no-placement' });
    expect(events.stored.mock.calls.map(([, , copies]) => copies)).toEqual([1, 1]);
  });
});

describe('a refused ticket', () => {
  it.each(['ticket-invalid', 'ticket-spent', 'upload-closed'] as const)(
    '%s at all nodes is told at once, and nobody is asked again',
    async (code) => {
      world.all(refuses(code));
      const run = storing(await open());
      await pass(0);
      expect(run.outcome).toMatchObject({ name: 'EngineError', code: 'internal', detail: code });
      expect(asked()).toEqual(['DE', 'NZ', 'IS']);
      await pass(60_000);
      expect(world.posts).toHaveLength(3);
    },
  );

  it('unknown-version at all nodes is this page’s age', async () => {
    world.all(refuses('unknown-version'));
    world.conduct.set(is, refuses('ticket-invalid'));
    const run = storing(await open());
    await pass(0);
    expect(run.outcome).toMatchObject({ code: 'out-of-date' });
  });

  it('at one node is that node’s affair', async () => {
    world.conduct.set(de, refuses('ticket-spent'));
    await (await open()).store(name, body);
    expect(asked()).toEqual(['DE', 'NZ', 'IS']);
  });

  it('at a node that fails otherwise the next time is forgotten', async () => {
    world.conduct.set(de, first(refuses('ticket-spent'), dead));
    world.conduct.set(nz, first(dead, refuses('ticket-spent')));
    world.conduct.set(is, first(dead, refuses('ticket-spent')));
    const run = storing(await open());
    await pass(1000);
    expect(run.outcome).toBeUndefined();
    world.all(honest);
    await pass(2000);
    await until(() => run.outcome !== undefined);
    expect(run.outcome).toBe('stored');
  });
});
