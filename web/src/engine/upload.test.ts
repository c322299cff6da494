import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadBlake3 } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { newId, newKey, toText } from '../format/id.ts';
import { openSigned } from '../format/ticket.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { alone, type Conduct, dead, first, refuses, says, silent, UploadWorld, until } from './upload.kit.ts';
import { Upload } from './upload.ts';
import { makeNode, problemAnswer, receipt, type TestNode } from './world.kit.ts';

// Blobs that must stand twice, whatever nodes and server do.

const body = pattern(5000);
let name: Bytes;
let world: UploadWorld;
let [de, nz, is]: TestNode[] = [];
let abort: AbortController;
const events = { sent: vi.fn(), stored: vi.fn(), note: vi.fn() };
beforeAll(async () => {
  name = (await loadBlake3()).hash(body);
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
const conduct = (node: TestNode | undefined, does: Conduct): void => {
  if (node) world.conduct.set(node, does);
};

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
    const texts = upload.receipts.texts(name);
    const receipts = await Promise.all(
      texts.map((t) => openSigned('receipt', world.keys, new Uint8Array(Buffer.from(t, 'base64url')))),
    );
    expect(receipts.map((r) => toText(r.node))).toEqual([de, nz].map((n) => n?.known.id));
    expect(upload.places([name])).toEqual({ places: [de?.known.place, nz?.known.place], spread: false });
  });

  const faults: [string, Conduct][] = [
    ['is not there', dead],
    [
      'ends in the middle of its answer',
      async (post, node, w) => {
        post.accept(5000);
        post.begin(200);
        post.say('{}\n{"rec');
        await dead(post, node, w);
      },
    ],
    ['is read-only', refuses('read-only')],
    ['cannot write', refuses('node-io')],
    ['is another than the ticket’s', refuses('ticket-other-node')],
    ['says garbage', says(() => ({ receipt: 5 }) as never)],
    ['signs nothing', says(() => ({}))],
  ];
  it.each(faults)('goes another way when the first node %s', async (what, does) => {
    conduct(de, does);
    await (await open()).store(name, body);
    expect(asked()).toEqual(['DE', 'NZ', 'IS']); // the second one finds the first no better than we did
    expect(failures()).toBe(what === 'signs nothing' ? 0 : 1);
    expect(notes().at(-1)).toBeUndefined();
  });

  it('goes another way when the first node stands still', async () => {
    conduct(de, silent);
    const run = storing(await open());
    await pass(10_000);
    await until(() => run.outcome !== undefined);
    expect(run.outcome).toBe('stored');
    expect(failures()).toBe(1);
  });

  it('tells of nodes that its node tried in vain', async () => {
    conduct(
      de,
      says(
        async (blob) => ({ receipt: await receipt(de as TestNode, world.upload, [blob]) }),
        () => ({ failed: { node: nz?.known.id ?? '', code: 'unavailable' } }),
        async (blob) => ({ receipt: await receipt(is as TestNode, world.upload, [blob]) }),
      ),
    );
    await (await open()).store(name, body);
    expect(asked()).toEqual(['DE']);
    expect(notes()).toEqual([{ kind: 'failover' }, undefined]);
  });

  it('keeps the receipts that it has when its node fails', async () => {
    conduct(de, async (post, node, w) => {
      await says(async (b) => ({ receipt: await receipt(node, w.upload, [b]) }))(
        { ...post, end: () => {} } as never,
        node,
        w,
      );
    });
    conduct(is, dead);
    conduct(nz, alone);
    const upload = await open();
    await upload.store(name, body);
    expect(upload.receipts.holders(name).map((n) => n.place.jurisdiction)).toEqual(['DE', 'NZ']);
  });

  it('is the same at each try: one name, and the bytes of it', async () => {
    conduct(de, first(dead, refuses('read-only')));
    conduct(
      nz,
      first(
        says(() => ({ receipt: 'AAAA' })),
        dead,
      ),
    );
    conduct(is, first(refuses('unavailable'), first(alone, alone)));
    const run = storing(await open());
    await pass(0);
    conduct(nz, alone);
    await pass(1000);
    await until(() => run.outcome !== undefined);
    expect(run.outcome).toBe('stored');
    expect(world.posts.length).toBeGreaterThan(4);
    for (const { post } of world.posts) {
      expect(post.headers.get('holdfast-blob')).toBe(toText(name));
      expect(post.body).toEqual(body);
    }
  });
});
