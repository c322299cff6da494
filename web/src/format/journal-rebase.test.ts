import { describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import { loadCheckpoint, makeCheckpoint, plainPages, stateDigest } from './journal-checkpoint.ts';
import { sealChild } from './journal-keys.ts';
import {
  forgetVersion,
  headOf,
  type Operation,
  purgeEntry,
  putFile,
  putFolder,
  removeOn,
  renameTo,
  restoreAs,
} from './journal-operation.ts';
import { type Intent, intend, isCircular, rebase } from './journal-rebase.ts';
import { applyEntry } from './journal-replay.ts';
import { type Item, isTrashed, keyOf, nameOf, State } from './journal-state.ts';
import { writeCheckpoint, writeEntry } from './journal-write.ts';
import { foldedName } from './names.ts';
import { toHex } from './vectors/case.kit.ts';
import {
  anchorFor,
  entryId,
  type Folder,
  fileOf,
  folderFor,
  folderId,
  keysFor,
  placeFor,
  put,
} from './vectors/journal-scenes.kit.ts';
import { failure, Random } from './vectors/random.kit.ts';

// Devices with states of different ages write to one folder at random: they come to one state, and nothing is lost.

const NAMES = ['a', 'A', '\u00e9', 'e\u0301', 'b.txt', 'B.TXT', 'a (2)', 'c'] as const;

class Device {
  readonly folder: Folder;
  readonly random: Random;
  readonly puts: Set<string>;
  state: State;
  intent: Intent | undefined;

  constructor(folder: Folder, state: State, random: Random, puts: Set<string>) {
    this.folder = folder;
    this.state = state;
    this.random = random;
    this.puts = puts;
  }

  async sync(): Promise<void> {
    for (const raw of this.folder.raws.slice(this.state.head.seq))
      await applyEntry(this.state, raw, this.folder.opener);
  }

  #pick(suits: (item: Item) => boolean): Item | undefined {
    const all = [...this.state.items.values()].filter(suits);
    return all[this.random.below(Math.max(1, all.length))];
  }

  async #draw(n: number): Promise<Operation | undefined> {
    const name = this.state.free(this.random.pick(NAMES));
    const live = this.#pick((item) => !isTrashed(item));
    const trashed = this.#pick(isTrashed);
    const old = this.#pick(({ descriptor }) => descriptor.versions !== undefined);
    switch (this.random.below(7)) {
      case 0:
        return await put(n, name, n);
      case 1:
        return live && putFile(live.id, await fileOf(nameOf(live), n));
      case 2:
        return live && renameTo(live.id, name);
      case 3:
        return live && removeOn(live.id, 1);
      case 4:
        return trashed && restoreAs(trashed.id, name);
      case 5:
        return trashed && purgeEntry(trashed.id);
    }
    const version = old?.descriptor.versions?.[0]?.content.revisionId;
    return old && version && forgetVersion(old.id, version);
  }

  async intend(n: number): Promise<void> {
    const op = await this.#draw(n);
    if (op === undefined) return;
    this.intent = intend(this.state, op);
    const revision = op.descriptor?.content?.revisionId;
    if (revision !== undefined) this.puts.add(toHex(revision));
  }

  /** Writes what is intended, unless others were faster: then it is adapted. */
  async push(): Promise<void> {
    if (this.intent === undefined) return;
    if (this.state.head.seq < this.folder.raws.length) {
      await this.sync();
      const before = await stateDigest(this.state);
      const { intents } = await rebase([this.intent], { state: () => this.state });
      expect(await stateDigest(this.state)).toEqual(before);
      [this.intent] = intents;
    }
    if (this.intent !== undefined && this.intent.operations.length > 0) {
      const pen = await this.folder.pen();
      await this.folder.take(await writeEntry(this.state, pen, ...this.intent.operations));
    }
    this.intent = undefined;
    await this.sync();
  }
}

/** Revisions that an operation of the journal was to end. */
async function ended(folder: Folder): Promise<Set<string>> {
  const out = new Set<string>();
  const state = new State(await anchorFor(1, 1));
  for (const raw of folder.raws) {
    const { outer } = await applyEntry(state, raw, folder.opener);
    for (const revision of outer.dropped ?? []) out.add(toHex(revision)); // only purges and forgets drop, here
  }
  return out;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('devices converge, and nothing is lost (seed %i)', async (seed) => {
  const random = new Random(seed);
  const [folder, puts] = [await folderFor(1), new Set<string>()];
  const devices: Device[] = [];
  for (let i = 0; i < 3; i++) devices.push(new Device(folder, await folder.replay(), random, puts));
  for (let step = 0; step < 60; step++) {
    const device = devices[random.below(devices.length)];
    if (device?.intent === undefined) await device?.intend(seed * 1000 + step);
    else await device.push();
  }
  for (const device of devices) await device.push();
  for (const device of devices) {
    await device.sync();
    expect(device.state.head).toEqual(folder.state.head);
    expect(await stateDigest(device.state)).toEqual(await stateDigest(folder.state));
  }
  const folded = folder.state.list().map((item) => foldedName(nameOf(item)));
  expect(new Set(folded).size).toBe(folded.length);
  const gone = await ended(folder);
  for (const revision of puts) {
    const held = folder.state.holds(new Uint8Array(Buffer.from(revision, 'hex')));
    expect(held || gone.has(revision), `revision ${revision}`).toBe(true);
  }
});

describe('folders', () => {
  test('do not come to lie in themselves', async () => {
    const [a, b, c, d] = [await folderId(1), await folderId(2), await folderId(3), await folderId(4)];
    const above = new Map([
      [keyOf(c), b],
      [keyOf(b), a],
    ]);
    const parent = (folder: Bytes) => above.get(keyOf(folder));
    expect([isCircular(a, c, parent), isCircular(a, a, parent), isCircular(c, a, parent)]).toEqual([true, true, false]);
    above.set(keyOf(a), c); // a circle that is there already ends the search
    expect(isCircular(d, a, parent)).toBe(false);
  });

  test('are sealed anew where an epoch began meanwhile, or are not made', async () => {
    const folder = await folderFor(1);
    const child = await sealChild(await placeFor(1, 1), new Uint8Array(32), await placeFor(2, 1));
    const intent = intend(folder.state, putFolder(await entryId(1), { path: 'd', kind: 2 }, child));
    await folder.epoch();
    const world = { state: () => folder.state };
    const without = await rebase([intent], world);
    expect([without.intents[0]?.operations, without.notices[0]?.reason]).toEqual([[], 'sealed']);
    const reseal = async () => sealChild(await placeFor(1, 2), new Uint8Array(32), await placeFor(2, 1));
    const sealed = await rebase([intent], { ...world, reseal });
    await folder.write(...(sealed.intents[0]?.operations ?? []));
    expect(folder.state.list().map(nameOf)).toEqual(['d']);
    const useless = await rebase([intent], { ...world, reseal: () => Promise.resolve(child) });
    expect(useless.intents[0]?.operations).toEqual([]);
  });
});

describe('a checkpoint', () => {
  async function checkpointed() {
    const folder = await folderFor(1);
    await folder.write(
      await put(1, 'a', 1),
      await put(2, 'b', 2),
      headOf({ ...folder.state.head, folder: await folderId(9) }),
    );
    await folder.epoch();
    const made = await makeCheckpoint(folder.state, (await keysFor(1, 2)).read);
    await folder.take(await writeCheckpoint(folder.state, await folder.pen(), made, await put(3, 'c', 3)));
    await folder.write(renameTo(await entryId(1), 'z'));
    return { folder, made };
  }

  test('and what follows lead to the same state', async () => {
    const { folder, made } = await checkpointed();
    const fetch = (hash: Bytes) =>
      Promise.resolve(made.pages[made.hashes.findIndex((each) => toHex(each) === toHex(hash))] ?? hash);
    const tail = folder.raws.slice(made.head.seq);
    const state = await loadCheckpoint(await anchorFor(1, 2), tail[0] ?? new Uint8Array(0), folder.opener, fetch);
    for (const raw of tail) await applyEntry(state, raw, folder.opener);
    state.settled();
    expect(plainPages(state)).toEqual(plainPages(folder.state));
    expect(state.tail).toBe(folder.state.tail);
    expect(await failure(() => loadCheckpoint(state.anchor, new Uint8Array(1), folder.opener, fetch))).toBe('encoding');
    const other = () => Promise.resolve(new Uint8Array(200));
    const naming = tail[0] ?? new Uint8Array(0);
    expect(await failure(() => loadCheckpoint(state.anchor, naming, folder.opener, other))).toBe('checkpoint');
    const broken = () => Promise.reject(new TypeError('no connection'));
    await expect(loadCheckpoint(state.anchor, naming, folder.opener, broken)).rejects.toThrow('no connection');
  });

  test('that leaves a file out is found by who holds the state', async () => {
    const { folder } = await checkpointed();
    const lie = await folder.replay();
    lie.begin();
    lie.set(lie.find('c'), undefined);
    lie.settle();
    const made = await makeCheckpoint(lie, (await keysFor(1, 2)).read);
    const raw = await writeCheckpoint(lie, await folder.pen(), made);
    expect(await failure(() => applyEntry(folder.state, raw, folder.opener))).toBe('checkpoint');
  });

  test('of many pages fills each', async () => {
    const folder = await folderFor(1);
    const state = folder.state.clone();
    state.begin();
    for (let n = 0; n < 11_000; n++) {
      const id = new Uint8Array(16);
      new DataView(id.buffer).setUint32(0, n * 7919);
      state.set(undefined, { id, descriptor: await fileOf(`${n}`, n) });
    }
    for (let n = 0; n < 3000; n++) {
      const id = new Uint8Array(16);
      new DataView(id.buffer).setUint32(0, n);
      state.setHead(id, { folder: id, seq: 1, hash: new Uint8Array(32) });
    }
    state.settle();
    const sizes = plainPages(state).map(({ length }) => length);
    expect(sizes.length).toBeGreaterThan(2);
    for (const size of sizes.slice(0, -1)) expect([size > 1_047_000, size <= 1_048_000]).toEqual([true, true]);
  });

  test('is due after 257 operations, or after more than a quarter of the entries', async () => {
    const { state } = await folderFor(1);
    const due = [256, 257].map((tail) => {
      state.tail = tail;
      return state.wantsCheckpoint();
    });
    expect(due).toEqual([false, true]);
    expect(
      await failure(async () => makeCheckpoint(new State(await anchorFor(1, 1)), new Uint8Array(32))),
    ).toBeDefined();
  });
});
