import { type Bytes, equal } from './bytes.ts';
import { FormatError } from './errors.ts';
import { applyAll } from './journal-apply.ts';
import { stateDigest } from './journal-checkpoint.ts';
import {
  checkEntry,
  type Followed,
  type Opener,
  type Outer,
  openBody,
  parseEntry,
  parseOf,
  readKeyOf,
  verifyAuthor,
} from './journal-entry.ts';
import { Alarm, samePublic } from './journal-keys.ts';
import { type Body, OP, type Operation } from './journal-operation.ts';
import type { Effect, State } from './journal-state.ts';

// Verifying entries and doing what they say (docs/format.md §21).

/**
 * Verifies raw as the next entry and does its operations, or changes nothing and throws: an Alarm, or `locked` for an
 * epoch whose read key is not there. One at a time for a state.
 */
export async function applyEntry(state: State, raw: Bytes, opener: Opener): Promise<Followed> {
  const { chain } = state;
  const entry = await follow(state, raw, opener);
  const { outer } = entry;
  if (outer.start !== undefined && outer.epoch === state.anchor.epoch && !samePublic(outer.start, state.anchor.keys)) {
    throw new Alarm(outer.folder, 'foreign', outer.seq, `the keys of epoch ${outer.epoch} are others`);
  }
  state.meets(entry.chain);
  const body = await open(readKeyOf(opener, outer.epoch), outer);
  await checkAuthor(opener, outer, body);
  checkRights(entry, body.operations);
  await checkDigest(state, outer, body.operations[0]);
  if (state.chain !== chain) throw new TypeError('two entries are applied to one state at once');
  doAll(state, outer, body.operations);
  state.chain = entry.chain;
  learn(opener, outer, body);
  return entry;
}

/** The entry as the next one; one that no writer signed is held against the read key, to tell a reader who writes. */
async function follow(state: State, raw: Bytes, opener: Opener): Promise<Followed> {
  try {
    return await checkEntry(state.chain, raw);
  } catch (error) {
    if (!(error instanceof Alarm) || (error.code !== 'foreign' && error.code !== 'planted')) throw error;
    if (!(await opens(state, raw, opener))) throw error;
    throw new Alarm(error.folder, 'reader-wrote', error.seq, 'somebody who may only read wrote it', error);
  }
}

async function opens(state: State, raw: Bytes, opener: Opener): Promise<boolean> {
  try {
    const { outer } = await parseOf(state.chain, raw);
    await openBody(readKeyOf(opener, outer.epoch), outer);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

async function open(key: Bytes, outer: Outer): Promise<Body> {
  try {
    return await openBody(key, outer);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new Alarm(outer.folder, 'operations', outer.seq, 'the sealed part is damaged', cause);
  }
}

async function checkAuthor({ member, signed }: Opener, outer: Outer, { author, operations }: Body): Promise<void> {
  if (member === undefined) return;
  const key = author === undefined ? undefined : member(author.account);
  if (key === undefined) {
    if (signed === true) throw new Alarm(outer.folder, 'author', outer.seq, 'by no member who is known');
    return;
  }
  if (author === undefined || !(await verifyAuthor(author, key, outer, operations))) {
    throw new Alarm(outer.folder, 'author', outer.seq, 'not signed by the member that it names');
  }
}

/** What the operations say about the entry as a whole. */
function checkRights({ outer, byAdmin }: Followed, operations: readonly Operation[]): void {
  const alarm = (code: 'disagreement' | 'not-admin', why: string) => new Alarm(outer.folder, code, outer.seq, why);
  const first = operations[0]?.what;
  if ((first === OP.epoch) !== (outer.start !== undefined)) throw alarm('disagreement', 'the start of an epoch');
  if ((first === OP.checkpoint) !== (outer.pages !== undefined))
    throw alarm('disagreement', 'the pages of a checkpoint');
  if (!byAdmin && operations.some(({ what }) => what === OP.rekey)) {
    throw alarm('not-admin', 'a child was given keys with the write key');
  }
}

/** Compares the state with the checkpoint that an entry names; one of another place does not apply, which is told later. */
async function checkDigest(state: State, outer: Outer, op: Operation | undefined): Promise<void> {
  if (op?.what !== OP.checkpoint || op.digest === undefined || op.hash === undefined) return;
  if (op.seq !== state.chain.seq || !equal(op.hash, state.chain.hash)) return;
  if (!equal(await stateDigest(state), op.digest)) {
    throw new Alarm(outer.folder, 'checkpoint', outer.seq, 'the digest is another');
  }
}

function doAll(state: State, outer: Outer, operations: readonly Operation[]): void {
  state.begin();
  try {
    applyAll(state, outer.start, outer, operations);
    if (!agrees(state.effect(), outer)) {
      throw new Alarm(outer.folder, 'disagreement', outer.seq, 'ids added or dropped');
    }
  } catch (cause) {
    state.takeBack();
    if (!(cause instanceof FormatError) || cause instanceof Alarm) throw cause;
    throw new Alarm(outer.folder, 'operations', outer.seq, 'it does what cannot be done', cause);
  }
  state.settle();
}

/** Whether the outer lists are exactly what the change does. */
function agrees(effect: Effect, outer: Outer): boolean {
  const same = (a: readonly Bytes[], b: readonly Bytes[] = []) =>
    a.length === b.length && a.every((id, i) => equal(id, b[i] ?? new Uint8Array(0)));
  return (
    same(effect.added, outer.added) &&
    same(effect.dropped, outer.dropped) &&
    same(effect.foldersAdded, outer.foldersAdded) &&
    same(effect.foldersDropped, outer.foldersDropped)
  );
}

function learn(opener: Opener, outer: Outer, { operations }: Body): void {
  const key = operations[0]?.what === OP.epoch ? operations[0].readKey : undefined;
  if (key !== undefined && !opener.reads.has(outer.epoch - 1)) opener.reads.set(outer.epoch - 1, key);
}

/**
 * Takes the read keys of earlier epochs out of the entries that began later ones, in their order, so that somebody who
 * was let in later can replay from the start. This verifies nothing: replaying does, and a wrong key opens nothing.
 */
export async function learnFrom(opener: Opener, starts: readonly Bytes[]): Promise<void> {
  for (const raw of starts.toReversed()) {
    try {
      const { outer } = await parseEntry(raw);
      if (outer.start === undefined) continue;
      learn(opener, outer, await openBody(readKeyOf(opener, outer.epoch), outer));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error; // what is wrong with an entry, replaying it says
    }
  }
}
