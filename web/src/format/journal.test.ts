import { describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import { signer } from './ed25519.ts';
import type { FormatErrorCode } from './errors.ts';
import { checkEntry, type Opener, paddedBody } from './journal-entry.ts';
import { Alarm, openChild, openChildAdmin, resealChild, sealChild } from './journal-keys.ts';
import { headOf, noHeadOf, OP, putFolder, removeOn, renameTo, restoreAs } from './journal-operation.ts';
import { checkBridge, checkHeads, Pins } from './journal-pins.ts';
import { applyEntry, learnFrom } from './journal-replay.ts';
import { nameOf, State } from './journal-state.ts';
import { foundFolder, writeEntry, writeEpoch } from './journal-write.ts';
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
  revisionId,
} from './vectors/journal-scenes.kit.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';

/** The code of the alarm that an action raises, which names the folder. */
async function raised(folder: Folder, action: () => unknown): Promise<FormatErrorCode | undefined> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(Alarm);
    if (!(error instanceof Alarm)) throw error;
    expect(error.folder).toEqual(folder.state.folder);
    return error.code;
  }
  return undefined;
}

async function replayed(n: number, opener: Opener, raws: readonly Bytes[], epoch = 1): Promise<State> {
  const state = new State(await anchorFor(n, epoch));
  for (const raw of raws) await applyEntry(state, raw, opener);
  return state;
}

const names = (state: State) => state.list().map(nameOf);

describe('a journal', () => {
  test('does what its operations say', async () => {
    const folder = await folderFor(1);
    await folder.write(await put(1, 'a', 1), await put(2, 'b', 2));
    await folder.write(await put(1, 'a', 3), renameTo(await entryId(2), 'c'));
    await folder.write(removeOn(await entryId(2), 7));
    expect(names(folder.state)).toEqual(['a']);
    expect(folder.state.trash().map(nameOf)).toEqual(['c']);
    await folder.write(restoreAs(await entryId(2), 'd'));
    expect(names(folder.state)).toEqual(['a', 'd']);
    expect(folder.state.get(await entryId(1))?.descriptor.versions?.length).toBe(1);
    expect(folder.state.holds(await revisionId(1))).toBe(true);
    expect(folder.state.find('d')?.id).toEqual(await entryId(2));
    expect((await folder.replay()).head).toEqual(folder.state.head);
  });

  test('of which any byte was changed is refused', async () => {
    const folder = await folderFor(1);
    await folder.write(await put(1, 'a', 1));
    await folder.epoch();
    await folder.write(renameTo(await entryId(1), 'b'));
    const random = new Random(3);
    for (let round = 0; round < 300; round++) {
      const at = random.below(folder.raws.length);
      const raw = folder.raws[at] ?? new Uint8Array(0);
      const state = await folder.replay(at);
      const damaged = flip(raw, random.below(raw.length), random.below(8));
      expect(await raised(folder, () => applyEntry(state, damaged, folder.opener))).toBeDefined();
      expect(state.head.seq).toBe(at);
      await applyEntry(state, raw, folder.opener);
    }
  });

  test('of an evil server raises an alarm', async () => {
    const [folder, other] = [await folderFor(1), await folderFor(2)];
    for (const n of [1, 2, 3]) await folder.write(await put(n, `${n}`, n));
    await other.write(await put(1, 'a', 1));
    const fork = await folderFor(1);
    fork.raws.splice(0, 1, ...folder.raws.slice(0, 3));
    const forked = await fork.replay();
    const pen = await folder.pen();
    const elsewhere = await writeEntry(forked, pen, await put(9, 'x', 9));
    await applyEntry(forked, elsewhere, folder.opener);
    const after = await writeEntry(forked, pen, await put(8, 'y', 8));
    const [a, b, c, d] = folder.raws as [Bytes, Bytes, Bytes, Bytes];
    const cases: [FormatErrorCode, Bytes[]][] = [
      ['gap', [a, c]],
      ['gap', [b]],
      ['rollback', [a, b, b]],
      ['rollback', [a, b, c, b]],
      ['fork', [a, b, c, d, after]],
      ['fork', [a, b, c, d, elsewhere]],
      ['foreign', [a, other.raws[1] ?? a]],
      ['foreign', other.raws],
    ];
    for (const [code, raws] of cases) {
      expect(await raised(folder, () => replayed(1, folder.opener, raws))).toBe(code);
    }
  });

  test('is read from the start by who was let in later', async () => {
    const folder = await folderFor(1);
    await folder.write(await put(1, 'a', 1));
    await folder.epoch();
    await folder.epoch();
    await folder.write(await put(2, 'b', 2));
    const opener: Opener = { reads: new Map([[3, (await keysFor(1, 3)).read]]) };
    expect(await failure(() => replayed(1, opener, folder.raws, 3))).toBe('locked');
    await learnFrom(opener, folder.raws);
    expect(names(await replayed(1, opener, folder.raws, 3))).toEqual(['a', 'b']);
  });

  test('is not read on by who was removed', async () => {
    const folder = await folderFor(1);
    await folder.epoch(await put(1, 'secret', 1));
    const opener: Opener = { reads: new Map([[1, (await keysFor(1, 1)).read]]) };
    expect(await failure(() => replayed(1, opener, folder.raws))).toBe('locked');
    opener.reads.set(2, (await keysFor(1, 1)).read);
    expect(await raised(folder, () => replayed(1, opener, folder.raws))).toBe('operations');
  });

  test('takes one entry at a time', async () => {
    const folder = await folderFor(1);
    const raw = await writeEntry(folder.state, await folder.pen(), await put(1, 'a', 1));
    const both = await Promise.allSettled([1, 2].map(() => applyEntry(folder.state, raw, folder.opener)));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(names(folder.state)).toEqual(['a']);
  });
});

describe('who may not write', () => {
  test('cannot, and is found out', async () => {
    const folder = await folderFor(1);
    const { read } = await keysFor(1, 1);
    const reader = { keys: { read } };
    const change = await put(1, 'a', 1);
    expect(await failure(() => writeEntry(folder.state, reader, change))).toBe('right');
    const forger = { keys: { read, write: read } };
    expect(await failure(() => writeEntry(folder.state, forger, change))).toBe('right');
    const state = new State({ ...(await anchorFor(1, 1)), keys: (await anchorFor(2, 1)).keys });
    state.chain = { ...folder.state.chain, keys: (await anchorFor(2, 1)).keys };
    const forged = await writeEntry(state, { keys: { ...(await keysFor(2, 1)), read } }, change);
    expect(await raised(folder, () => applyEntry(folder.state, forged, folder.opener))).toBe('reader-wrote');
    expect(await raised(folder, () => checkEntry(folder.state.chain, forged))).toBe('foreign');
  });

  test('does not begin an epoch', async () => {
    const folder = await folderFor(1);
    const { read, write } = await keysFor(1, 1);
    const next = await keysFor(1, 2);
    expect(await failure(() => writeEpoch(folder.state, { keys: { read, write } }, next))).toBe('right');
    const other = { keys: { read, write, admin: next.admin } };
    expect(await failure(() => writeEpoch(folder.state, other, next))).toBe('right');
  });

  test('makes folders that the administrator of the parent administers', async () => {
    const folder = await folderFor(1);
    const parent = await placeFor(1, 1);
    const { admin: _, ...writes } = parent.keys;
    const writer = { ...parent, keys: writes };
    const place = await placeFor(2, 1);
    const { admin: __, ...own } = place.keys;
    expect(await failure(() => sealChild(writer, folder.state.chain.keys.admin, place))).toBe('right');
    const child = await sealChild(writer, folder.state.chain.keys.admin, { ...place, keys: own });
    const operation = putFolder(await entryId(1), { path: 'd', kind: 2 }, child);
    await folder.take(await writeEntry(folder.state, { keys: writes }, operation));
    expect(await openChild(child, parent)).toEqual(own);
    expect(await openChildAdmin(child, parent)).toEqual(parent.keys.admin);
    expect(await failure(() => openChildAdmin(child, writer))).toBe('locked');
    expect(await failure(() => openChild(child, { ...parent, epoch: 2 }))).toBe('locked');
    await folder.epoch();
    expect(folder.state.stale().map(nameOf)).toEqual(['d']);
    const again = await sealChild(await placeFor(1, 2), child.admin, place);
    const rekey = { what: OP.rekey, entry: await entryId(1), child: { ...again, epoch: 2 } };
    const { keys } = await placeFor(1, 2);
    expect(await failure(() => writeEntry(folder.state, { keys: { read: keys.read } }, rekey))).toBe('right');
    const moved = await resealChild(child, await placeFor(3, 1), own);
    expect([moved.adminFolder, moved.parent]).toEqual([parent.folder, 1]);
    expect(await openChild(moved, await placeFor(3, 1))).toEqual(own);
  });
});

describe('what is written', () => {
  test.each<[FormatErrorCode, string]>([
    ['clash', 'A'],
    ['encoding', '..'],
    ['encoding', 'a/b'],
    ['encoding', 'n'.repeat(256)],
  ])('is refused: %s, %s', async (code, name) => {
    const folder = await folderFor(1);
    await folder.write(await put(1, 'a', 1));
    expect(await failure(async () => writeEntry(folder.state, await folder.pen(), await put(2, name, 2)))).toBe(code);
    expect(names(folder.state)).toEqual(['a']);
    expect(folder.state.clashes('a')).toBe(1);
  });

  test('is not empty, and no more than fits', async () => {
    const folder = await folderFor(1);
    const pen = await folder.pen();
    expect(await failure(() => writeEntry(folder.state, pen))).toBe('too-large');
    const many = Array.from({ length: 16385 }, () => ({ what: OP.forgetHead, folder: new Uint8Array(16) }));
    expect(await failure(() => writeEntry(folder.state, pen, ...many))).toBe('too-large');
    expect(await failure(async () => foundFolder(await anchorFor(1, 2), pen))).toBe('right');
  });

  test('says little by its size', async () => {
    expect([0, 256, 257, 272, 273, 511, 512, 513, 1024, 1025, 9000].map(paddedBody)).toEqual([
      256, 256, 272, 272, 288, 512, 512, 544, 1024, 1088, 9216,
    ]);
    const folder = await folderFor(1);
    await folder.write(await put(1, 'a', 1));
    const size = async (n: number) =>
      (await writeEntry(folder.state, await folder.pen(), renameTo(await entryId(1), 'x'.repeat(n)))).length;
    expect(await size(1)).toBe(await size(150));
  });

  test('is signed by the member, who is known', async () => {
    const key = await signer(new Uint8Array(32).fill(7));
    const account = new Uint8Array(16).fill(1);
    const impostor = await signer(new Uint8Array(32).fill(8));
    const cases: [typeof key | undefined, boolean, boolean, FormatErrorCode | undefined][] = [
      [key, true, true, undefined],
      [impostor, true, false, 'author'],
      [undefined, true, false, undefined],
      [undefined, true, true, 'author'],
      [key, false, false, undefined],
      [key, false, true, 'author'],
    ];
    for (const [author, known, signed, code] of cases) {
      const folder = await folderFor(1);
      const pen = { ...(await folder.pen()), ...(author && { author: { account, key: author } }) };
      const raw = await writeEntry(folder.state, pen, await put(1, 'a', 1));
      const opener: Opener = { ...folder.opener, signed, member: () => (known ? key.publicKey : undefined) };
      expect(await failure(() => applyEntry(folder.state, raw, opener))).toBe(code);
    }
  });
});

describe('pins and heads', () => {
  test('do not go back', async () => {
    const folder = await folderFor(1);
    await folder.write(await put(1, 'a', 1));
    const pins = new Pins();
    pins.set(folder.state.head);
    const older = (await folder.replay(1)).head;
    expect(await raised(folder, () => pins.set(older))).toBe('rollback');
    const other = { ...folder.state.head, hash: new Uint8Array(32) };
    expect(await raised(folder, () => pins.check(other))).toBe('fork');
    expect(await raised(folder, () => pins.check({ ...other, seq: 0 }))).toBe('missing');
    expect(pins.get(folder.state.folder)).toEqual(folder.state.head);
    expect(Pins.decode(pins.encode()).get(folder.state.folder)).toEqual(folder.state.head);
    pins.forget(folder.state.folder);
    expect(pins.get(folder.state.folder)).toBeUndefined();
  });

  test('are met by who replays, or bridged', async () => {
    const folder = await folderFor(1);
    for (const n of [1, 2, 3]) await folder.write(await put(n, `${n}`, n));
    const pin = (await folder.replay(3)).head;
    const state = new State(await anchorFor(1, 1));
    state.expect(pin);
    for (const raw of folder.raws.slice(0, 2)) await applyEntry(state, raw, folder.opener);
    expect(await raised(folder, () => state.settled())).toBe('rollback');
    const other = await writeEntry(state, await folder.pen(), await put(9, 'x', 9));
    expect(await raised(folder, () => applyEntry(state, other, folder.opener))).toBe('fork');
    await applyEntry(state, folder.raws[2] ?? other, folder.opener);
    state.settled();
    expect(() => folder.state.expect(pin)).toThrow(RangeError);
    const { head } = folder.state;
    const first = (await folder.replay(1)).head;
    await checkBridge(first, folder.raws.slice(1), head);
    expect(await raised(folder, () => checkBridge(first, folder.raws.slice(2), head))).toBe('gap');
    expect(await raised(folder, () => checkBridge(first, folder.raws.slice(1, 3), head))).toBe('gap');
    const wrong = [folder.raws[1] ?? other, other, folder.raws[3] ?? other];
    expect(await raised(folder, () => checkBridge(first, wrong, head))).toBe('fork');
    expect(await raised(folder, () => checkBridge(first, [new Uint8Array(1)], head))).toBe('encoding');
    expect(await raised(folder, () => checkBridge(head, [], first))).toBe('rollback');
    expect(await raised(folder, () => checkBridge({ ...first, hash: head.hash }, [], head))).toBe('gap');
    const elsewhere = (await folderFor(2)).raws;
    expect(await raised(folder, () => checkBridge(first, elsewhere, head))).toBe('foreign');
  });

  test('find which folders are served as of yesterday', async () => {
    const heads = await folderFor(100);
    for (const n of [1, 2, 3])
      await heads.write(headOf({ folder: await folderId(n), seq: 5, hash: new Uint8Array(32) }));
    const served = new Map([
      [(await folderId(1)).toString(), { seq: 4, hash: new Uint8Array(32) }],
      [(await folderId(2)).toString(), { seq: 5, hash: new Uint8Array(32).fill(1) }],
      [(await folderId(3)).toString(), { seq: 5, hash: new Uint8Array(32) }],
    ]);
    const claimed = (folder: Bytes) => ({ folder, ...(served.get(folder.toString()) ?? { seq: 0, hash: folder }) });
    expect(
      checkHeads(heads.state, claimed)
        .map(({ code }) => code)
        .sort(),
    ).toEqual(['fork', 'rollback']);
    await heads.write(noHeadOf(await folderId(1)), noHeadOf(await folderId(2)));
    expect(checkHeads(heads.state, claimed)).toEqual([]);
  });

  test('a state that has not come to its anchor is not settled', async () => {
    const folder = await folderFor(1);
    await folder.epoch();
    expect(await raised(folder, async () => new State(await anchorFor(1, 1)).settled())).toBe('missing');
    const state = new State(await anchorFor(1, 3));
    for (const raw of folder.raws) await applyEntry(state, raw, folder.opener);
    expect(await raised(folder, () => state.settled())).toBe('rollback');
    const keys = (await anchorFor(2, 1)).keys;
    expect(await raised(folder, () => folder.state.hold({ ...folder.state.presentAnchor(), keys }))).toBe('foreign');
    expect(await raised(folder, async () => folder.state.hold(await anchorFor(2, 1)))).toBe('foreign');
    folder.state.hold(folder.state.presentAnchor());
  });
});

test('the 1,025th version is dropped', async () => {
  const folder = await folderFor(1);
  const all = [];
  for (let n = 0; n < 1026; n++) all.push({ what: OP.put, entry: await entryId(1), descriptor: await fileOf('a', n) });
  await folder.write(...all);
  expect(folder.state.get(await entryId(1))?.descriptor.versions?.length).toBe(1024);
  expect([folder.state.holds(await revisionId(0)), folder.state.holds(await revisionId(1))]).toEqual([false, true]);
});
