import { type Bytes, equal } from './bytes.ts';
import { type Signer, signer } from './ed25519.ts';
import { FormatError } from './errors.ts';
import type { AccountId } from './id.ts';
import { applyAll } from './journal-apply.ts';
import type { Checkpoint } from './journal-checkpoint.ts';
import {
  authoredBytes,
  handoverBytes,
  MAX_ENTRY,
  type Outer,
  type Spot,
  type Start,
  sealBody,
  signEntry,
} from './journal-entry.ts';
import { type Anchor, type Keys, publicOf } from './journal-keys.ts';
import { type Body, MAX_OPERATIONS, OP, type Operation, operationsShape } from './journal-operation.ts';
import { type Effect, keyOf, State } from './journal-state.ts';
import { encode } from './shape.ts';

// Writing entries. Nothing here changes a state: applyEntry does, once the server has taken the entry.

/** What somebody writes with: the keys that they have of the present epoch, and, in shared folders, their own. */
export interface Pen {
  readonly keys: Keys;
  readonly author?: { readonly account: AccountId; readonly key: Signer };
}

interface Draft {
  readonly epoch: number;
  readonly start?: Start;
  readonly pages?: Bytes[];
  readonly operations: Operation[];
}

/** The first entry of a folder; it takes no admin seed, because the admin key may be somebody else's. */
export function foundFolder(anchor: Anchor, pen: Pen, ...operations: Operation[]): Promise<Bytes> {
  if (anchor.epoch !== 1) throw new FormatError('right', 'a folder begins in epoch 1');
  const { write, admin } = anchor.keys;
  const draft = { epoch: 1, start: { write, admin }, operations: [{ what: OP.epoch }, ...operations] };
  return writeDraft(new State(anchor), pen, draft);
}

/** The next entry, which does these operations. */
export function writeEntry(state: State, pen: Pen, ...operations: Operation[]): Promise<Bytes> {
  return writeDraft(state, pen, { epoch: state.chain.epoch, operations });
}

/** The next entry, which names a checkpoint of the state. */
export function writeCheckpoint(state: State, pen: Pen, made: Checkpoint, ...operations: Operation[]): Promise<Bytes> {
  const { head, digest, hashes } = made;
  const first: Operation = { what: OP.checkpoint, seq: head.seq, hash: head.hash, digest };
  return writeDraft(state, pen, { epoch: state.chain.epoch, pages: hashes, operations: [first, ...operations] });
}

/** The entry that begins the next epoch under other keys. It takes the present read key and admin seed. */
export async function writeEpoch(
  state: State,
  pen: Pen,
  next: Required<Keys>,
  ...operations: Operation[]
): Promise<Bytes> {
  const admin = await seedFor(pen.keys.admin, state.chain.keys.admin);
  if (admin === undefined) throw new FormatError('right', 'a new epoch takes the admin key');
  const epoch = state.chain.epoch + 1;
  const keys = { write: await publicOf(next.write), admin: await publicOf(next.admin) };
  const start = { ...keys, handover: await admin.sign(handoverBytes(nextSpot(state, epoch), keys)) };
  const first: Operation = { what: OP.epoch, readKey: pen.keys.read };
  return writeDraft(state, { ...pen, keys: next }, { epoch, start, operations: [first, ...operations] });
}

function nextSpot({ chain }: State, epoch: number): Spot {
  return { folder: chain.folder, seq: chain.seq + 1, epoch, previous: chain.hash };
}

/** The signer of a seed, if it is there and has that public key. */
async function seedFor(seed: Bytes | undefined, publicKey: Bytes): Promise<Signer | undefined> {
  if (seed === undefined) return undefined;
  const key = await signer(seed);
  return equal(key.publicKey, publicKey) ? key : undefined;
}

async function writeDraft(state: State, pen: Pen, draft: Draft): Promise<Bytes> {
  const spot = nextSpot(state, draft.epoch);
  const { start, pages, operations } = draft;
  const effect = tryOperations(state, draft.start, spot, operations);
  const body: Body = { operations };
  if (pen.author !== undefined) {
    const signature = await pen.author.key.sign(await authoredBytes(spot, operations));
    body.author = { account: pen.author.account, signature };
  }
  const outer: Outer = { ...spot, ...listed(effect), sealed: await sealBody(pen.keys.read, spot, body) };
  if (start !== undefined) outer.start = start;
  if (pages !== undefined) outer.pages = pages;
  return signEntry(outer, await signingKey(state, pen, draft));
}

/** What an entry tells of its effect: lists that are empty are left out. */
function listed(effect: Effect): Partial<Outer> {
  return Object.fromEntries(Object.entries(effect).filter(([, ids]) => ids.length > 0));
}

/** Does the operations, notes their effect, and takes them back. */
export function tryOperations(
  state: State,
  start: Start | undefined,
  spot: Spot,
  operations: readonly Operation[],
): Effect {
  if (operations.length === 0 || operations.length > MAX_OPERATIONS) {
    throw new FormatError('too-large', `${operations.length} operations, 1 to ${MAX_OPERATIONS} in one entry`);
  }
  encode(operationsShape, [...operations], MAX_ENTRY);
  const before = new Map(operations.flatMap(({ entry }) => (entry ? [[keyOf(entry), state.get(entry)] as const] : [])));
  state.begin();
  try {
    applyAll(state, start, spot, operations);
    const changed = operations.flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
    const clash = state.newClash(changed, (id) => before.get(keyOf(id)));
    if (clash !== undefined) throw new FormatError('clash', `the name is taken: ${clash}`);
    return state.effect();
  } finally {
    state.takeBack();
  }
}

/** The key that the draft takes, if the pen has it. */
async function signingKey(state: State, { keys }: Pen, { start, epoch, operations }: Draft): Promise<Signer> {
  const publicKeys = start ?? state.chain.keys;
  const admin = (start !== undefined && epoch > 1) || operations.some(({ what }) => what === OP.rekey);
  const key = await (admin ? seedFor(keys.admin, publicKeys.admin) : seedFor(keys.write, publicKeys.write));
  if (key === undefined) throw new FormatError('right', `this takes the ${admin ? 'admin' : 'write'} key`);
  return key;
}
