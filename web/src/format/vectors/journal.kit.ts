import { expect } from 'vitest';
import type { Bytes } from '../bytes.ts';
import { FormatError } from '../errors.ts';
import { loadCheckpoint, plainPages, stateDigest } from '../journal-checkpoint.ts';
import { emptyChain, MAX_ENTRY, type Opener } from '../journal-entry.ts';
import { encodeGrant, openGrant } from '../journal-grant.ts';
import { Alarm, type Anchor, childShape, openChild, openChildAdmin, type Place } from '../journal-keys.ts';
import { operationShape } from '../journal-operation.ts';
import { Pins } from '../journal-pins.ts';
import { noted, rebase } from '../journal-rebase.ts';
import { applyEntry } from '../journal-replay.ts';
import { nameOf, State } from '../journal-state.ts';
import { decodeExact, encode } from '../shape.ts';
import { type Case, type CaseReader, expectBytes, type Fields, toHex, VectorFile } from './case.kit.ts';
import { type Folder, folderFor } from './journal-scenes.kit.ts';
import { jsonOf } from './signed.kit.ts';

// The vectors of journals (docs/vectors.md).

function anchorOf(fields: Fields): Anchor {
  const [folder, epoch] = [fields.hex('folder'), fields.number('epoch')];
  const anchor = { folder, epoch, keys: { write: fields.hex('write'), admin: fields.hex('admin') } };
  fields.done();
  return anchor;
}

function openerOf(keys: Fields[]): Opener {
  const opener: Opener = { reads: new Map() };
  for (const each of keys) {
    opener.reads.set(each.number('epoch'), each.hex('read'));
    each.done();
  }
  return opener;
}

const names = (state: State) => state.list().map(nameOf);

const REPLAY = 'journal-replay.json';
let replayFile: VectorFile | undefined;

/** The journal that a case goes on from. */
function baseOf(c: Case): Case | undefined {
  if (!c.has('after')) return undefined;
  replayFile ??= new VectorFile(REPLAY);
  return replayFile.find(c.text('after'));
}

/** journal-replay.json */
export const readReplay: CaseReader = async (c) => {
  const base = baseOf(c);
  const from = (field: string): Case => (c.has(field) || base === undefined ? c : base);
  const anchor = anchorOf(from('anchor').object('anchor'));
  const opener = openerOf(from('keys').objects('keys'));
  const state = new State(anchor);
  for (const raw of base?.datas('entries') ?? []) await applyEntry(state, raw, opener);
  const entries = c.datas('entries');
  const last = c.fail === undefined ? undefined : entries.pop();
  for (const raw of entries) await applyEntry(state, raw, opener);
  if (last !== undefined) await refused(state, last, opener);
  state.settled();
  return async () => {
    expect([state.chain.seq, state.chain.epoch]).toEqual([c.number('seq'), c.number('epoch')]);
    expectBytes(state.chain.hash, c.hex('hash'));
    expect(names(state)).toEqual(c.maybe('names', c.texts) ?? []);
    const pages = plainPages(state);
    expect(pages.map(toHex)).toEqual(c.datas('pages').map(toHex));
    expectBytes(await stateDigest(state), c.hex('digest'));
  };
};

/** An entry that is refused names the folder, and changes nothing. */
async function refused(state: State, raw: Bytes, opener: Opener): Promise<void> {
  const { chain, tail } = state;
  const pages = () => (chain.seq === 0 ? [] : plainPages(state).map(toHex)); // before the first entry there are none
  const before = pages();
  try {
    await applyEntry(state, raw, opener);
  } catch (error) {
    expect(error).toBeInstanceOf(Alarm);
    if (error instanceof Alarm) expect(toHex(error.folder)).toBe(toHex(state.folder));
    expect([state.chain, state.tail, pages()]).toEqual([chain, tail, before]);
    throw error;
  }
}

function placeOf(fields: Fields): Place {
  const [write, admin] = [fields.maybe('write', fields.hex), fields.maybe('admin', fields.hex)];
  const keys = { read: fields.hex('read'), ...(write && { write }), ...(admin && { admin }) };
  const place = { folder: fields.hex('folder'), epoch: fields.number('epoch'), keys };
  fields.done();
  return place;
}

/** journal-child.json */
export const readChild: CaseReader = async (c) => {
  const [parent, encoded] = [placeOf(c.object('parent')), c.hex('child')];
  const child = decodeExact(childShape, encoded, MAX_ENTRY);
  const keys = await openChild(child, parent);
  const admin = parent.keys.admin === undefined ? undefined : await openChildAdmin(child, parent);
  return () => {
    expectBytes(encode(childShape, child, MAX_ENTRY), encoded);
    expect(toHex(keys.read)).toBe(c.text('read'));
    expect(keys.write && toHex(keys.write)).toBe(c.maybe('write', c.text));
    expect(admin && toHex(admin)).toBe(c.maybe('admin', c.text));
  };
};

/** journal-checkpoint.json */
export const readCheckpoint: CaseReader = async (c) => {
  const [anchor, opener] = [anchorOf(c.object('anchor')), openerOf(c.objects('keys'))];
  const [entries, pages] = [c.datas('entries'), c.has('pages') && c.raw('pages') !== null ? c.datas('pages') : []];
  const [naming] = entries;
  if (naming === undefined) throw new TypeError('no entries');
  const state = await loadCheckpoint(anchor, naming, opener, () => {
    const page = pages.shift();
    if (page === undefined) throw new Alarm(anchor.folder, 'missing', 0, 'no such page');
    return Promise.resolve(page);
  });
  for (const raw of entries) await applyEntry(state, raw, opener);
  state.settled();
  return async () => {
    expect(state.chain.seq).toBe(c.number('seq'));
    expectBytes(state.chain.hash, c.hex('hash'));
    expectBytes(await stateDigest(state), c.hex('digest'));
    expect(names(state)).toEqual(c.texts('names'));
  };
};

/** journal-grant.json */
export const readGrantCase: CaseReader = async (c) => {
  const { folder, epoch, keys } = anchorOf(c.object('anchor'));
  const chain = { ...emptyChain(folder), epoch, keys };
  const known = c.number('known');
  const grant = await openGrant(c.data('grant'), chain, () => known);
  return () => expect(jsonOf(encodeGrant(grant))).toEqual(c.raw('value'));
};

/** journal-pins.json */
export const readPins: CaseReader = (c) => {
  const pins = Pins.decode(c.hex('bytes'));
  return () => {
    expectBytes(pins.encode(), c.hex('bytes'));
    expect(jsonOf(c.hex('bytes'))).toEqual(c.raw('value'));
    for (const claim of c.objects('claims')) {
      const head = { folder: claim.hex('folder'), seq: claim.number('seq'), hash: claim.hex('hash') };
      expect(codeOf(() => pins.check(head))).toBe(claim.maybe('fail', claim.text));
      claim.done();
    }
  };
};

function codeOf(check: () => void): string | undefined {
  try {
    check();
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
  return undefined;
}

const operationsOf = (fields: Fields, field: string) =>
  (fields.maybe(field, fields.texts) ?? []).map((hex) =>
    decodeExact(operationShape, new Uint8Array(Buffer.from(hex, 'hex')), MAX_ENTRY),
  );

/** journal-rebase.json */
export const readRebase: CaseReader = async (c) => {
  const fields = c.objects('folders');
  const folders: Folder[] = [];
  for (const [i, each] of fields.entries()) {
    const folder = await folderFor(i + 1);
    expect(toHex(folder.state.folder)).toBe(each.text('folder'));
    const base = operationsOf(each, 'base');
    if (base.length > 0) await folder.write(...base);
    folder.intent = noted(folder.state, operationsOf(each, 'intended'));
    for (const op of operationsOf(each, 'newer')) await folder.write(op);
    folders.push(folder);
  }
  const parents = new Map((c.maybe('parents', c.objects) ?? []).map((p) => [p.text('folder'), p.hex('parent')]));
  const { intents, notices } = await rebase(
    folders.map(({ intent }) => intent),
    {
      state: (folder) =>
        folders.find(({ state }) => toHex(state.folder) === toHex(folder))?.state ?? new State(never()),
      parent: (folder) => parents.get(toHex(folder)),
    },
  );
  return async () => {
    for (const [i, each] of fields.entries()) {
      const [folder, { operations = [] } = {}] = [folders[i], intents[i]];
      const becomes = operations.map((op) => toHex(encode(operationShape, op, MAX_ENTRY)));
      expect(becomes).toEqual(each.maybe('becomes', each.texts) ?? []);
      if (operations.length > 0) await folder?.write(...operations);
      expect(folder && names(folder.state)).toEqual(each.maybe('names', each.texts) ?? []);
      each.done();
    }
    const told = notices.map(({ folder, op, reason, name }) => ({
      folder: toHex(folder),
      op: toHex(encode(operationShape, op, MAX_ENTRY)),
      reason,
      ...(name !== undefined && { name }),
    }));
    expect(told).toEqual(c.has('notices') ? c.raw('notices') : []);
  };
};

function never(): never {
  throw new TypeError('a folder that is not in the case');
}
