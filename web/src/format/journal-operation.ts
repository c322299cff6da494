import type { Bytes } from './bytes.ts';
import { type Descriptor, descriptorShape, KIND, nameFault } from './descriptor.ts';
import type { EntryId, FolderId, RevisionId } from './id.ts';
import { type Child, childShape } from './journal-keys.ts';
import { array, b16, b32, bytes, type Infer, integer, map, optional, refine, required, text, uint } from './shape.ts';

// What the sealed operations of a journal are (docs/format.md §21).

/** The most operations of one entry. */
export const MAX_OPERATIONS = 16384;

export const OP = {
  put: 1,
  rename: 2,
  remove: 3,
  restore: 4,
  purge: 5,
  forget: 6,
  moveOut: 7,
  moveIn: 8,
  checkpoint: 9,
  epoch: 10,
  rekey: 11,
  head: 12,
  forgetHead: 13,
} as const;

const seq = integer(1, Number.MAX_SAFE_INTEGER);
/** The name of an entry. */
export const nameShape = refine(text(1, 255), nameFault);

const fields = map({
  what: required(1, integer(OP.put, OP.forgetHead)),
  entry: optional(2, b16<'entry'>()),
  descriptor: optional(3, descriptorShape),
  child: optional(4, childShape),
  name: optional(5, nameShape),
  day: optional(6, uint),
  revision: optional(7, b16<'revision'>()),
  folder: optional(8, b16<'folder'>()),
  seq: optional(9, seq),
  hash: optional(10, b32),
  digest: optional(11, b32),
  readKey: optional(12, b32),
});

/** One change of a folder. Which fields it has follows from `what`. */
export type Operation = Infer<typeof fields>;
type Field = Exclude<keyof Operation, 'what'>;

/** What each operation must have, and what it may have beside. */
const TAKES: ReadonlyMap<number, { must: readonly Field[]; may?: Field }> = new Map([
  [OP.put, { must: ['entry', 'descriptor'], may: 'child' }],
  [OP.rename, { must: ['entry', 'name'] }],
  [OP.remove, { must: ['entry', 'day'] }],
  [OP.restore, { must: ['entry', 'name'] }],
  [OP.purge, { must: ['entry'] }],
  [OP.forget, { must: ['entry', 'revision'] }],
  [OP.moveOut, { must: ['entry', 'folder'] }],
  [OP.moveIn, { must: ['entry', 'descriptor', 'folder'], may: 'child' }],
  [OP.checkpoint, { must: ['seq', 'hash', 'digest'] }],
  [OP.epoch, { must: [], may: 'readKey' }],
  [OP.rekey, { must: ['entry', 'child'] }],
  [OP.head, { must: ['folder', 'seq', 'hash'] }],
  [OP.forgetHead, { must: ['folder'] }],
] as const);

function operationFault(op: Operation): string | undefined {
  const takes = TAKES.get(op.what);
  if (takes === undefined) return `operation ${op.what}`;
  for (const field of takes.must) if (op[field] === undefined) return `operation ${op.what} without its ${field}`;
  const has = Object.entries(op).filter(([field, value]) => field !== 'what' && value !== undefined);
  const extra = has.find(([field]) => field !== takes.may && !takes.must.some((must) => must === field));
  if (extra !== undefined) return `operation ${op.what} with a ${extra[0]}`;
  if (op.descriptor === undefined) return undefined;
  if ((op.descriptor.kind === KIND.folder) !== (op.child !== undefined)) return 'keys of a child belong to a folder';
  if (op.what === OP.put && op.descriptor.versions !== undefined) return 'what is put brings no versions';
  return nameFault(op.descriptor.path);
}

export const operationShape = refine(fields, operationFault);
export const operationsShape = array(operationShape, 1, MAX_OPERATIONS);

const authorShape = map({ account: required(1, b16<'account'>()), signature: required(2, bytes(64, 64)) });
export type Author = Infer<typeof authorShape>;

export const bodyShape = map({ operations: required(1, operationsShape), author: optional(2, authorShape) });
/** What is sealed in an entry. */
export type Body = Infer<typeof bodyShape>;

/** Makes a file, or gives a file that is there a new version. */
export const putFile = (entry: EntryId, descriptor: Descriptor): Operation => ({ what: OP.put, entry, descriptor });

export function putFolder(entry: EntryId, descriptor: Descriptor, child: Child): Operation {
  return { what: OP.put, entry, descriptor, child };
}

export const renameTo = (entry: EntryId, name: string): Operation => ({ what: OP.rename, entry, name });
/** Puts an entry into the trash; day since 1970-01-01 UTC. */
export const removeOn = (entry: EntryId, day: number): Operation => ({ what: OP.remove, entry, day });
export const restoreAs = (entry: EntryId, name: string): Operation => ({ what: OP.restore, entry, name });
export const purgeEntry = (entry: EntryId): Operation => ({ what: OP.purge, entry });
export const forgetVersion = (entry: EntryId, revision: RevisionId): Operation => ({
  what: OP.forget,
  entry,
  revision,
});
export const rekeyChild = (entry: EntryId, child: Child): Operation => ({ what: OP.rekey, entry, child });
export const noHeadOf = (folder: FolderId): Operation => ({ what: OP.forgetHead, folder });

/** Says in heads where a folder's journal is. */
export function headOf(head: { folder: FolderId; seq: number; hash: Bytes }): Operation {
  return { what: OP.head, folder: head.folder, seq: head.seq, hash: head.hash };
}
