import { type Bytes, concat, equal } from './bytes.ts';
import { signer } from './ed25519.ts';
import { FormatError, type FormatErrorCode, type JournalErrorCode } from './errors.ts';
import { type FolderId, newKey, toText } from './id.ts';
import { deriveKey32, LABEL } from './kdf.ts';
import { openRecord, RECORD_OVERHEAD, sealRecord } from './record.ts';
import { b16, b32, bytes, type Infer, integer, map, optional, required } from './shape.ts';

// Folders' keys, and a child folder's sealed under its parent's (docs/format.md §20).

/** Epochs of one folder are bounded, so that their starts fit the first page of a checkpoint. */
export const MAX_EPOCH = 4096;
export const epochShape = integer(1, MAX_EPOCH);

/** A fault that no honest server, or no honest member, causes: it names the folder, the entry and what is wrong. */
export class Alarm extends FormatError {
  readonly folder: FolderId;
  /** The entry's seq, 0 if it is about none. */
  readonly seq: number;

  constructor(
    folder: FolderId,
    code: FormatErrorCode & (JournalErrorCode | 'encoding'),
    seq: number,
    why: string,
    cause?: unknown,
  ) {
    const where = seq > 0 ? `, entry ${seq}` : '';
    super(code, `folder ${toText(folder)}${where}: ${why}`, cause === undefined ? undefined : { cause });
    this.folder = folder;
    this.seq = seq;
  }
}

/** The keys by which an epoch's entries are verified. */
export interface Public {
  readonly write: Bytes;
  readonly admin: Bytes;
}

export function samePublic(a: Public, b: Public): boolean {
  return equal(a.write, b.write) && equal(a.admin, b.admin);
}

/** A folder's keys in one epoch, as far as their holder has them. */
export interface Keys {
  readonly read: Bytes;
  readonly write?: Bytes;
  readonly admin?: Bytes;
}

export function newKeys(): Required<Keys> {
  return { read: newKey(), write: newKey(), admin: newKey() };
}

/** The public key of a seed. */
export async function publicOf(seed: Bytes): Promise<Bytes> {
  return (await signer(seed)).publicKey;
}

/** What one knows of a folder before one has seen any of its journal. */
export interface Anchor {
  readonly folder: FolderId;
  readonly epoch: number;
  readonly keys: Public;
}

/** A folder in one epoch, with the keys that the present user has of it. */
export interface Place {
  readonly folder: FolderId;
  readonly epoch: number;
  readonly keys: Keys;
}

const sealedKey = bytes(32 + RECORD_OVERHEAD, 32 + RECORD_OVERHEAD);

/** What a folder's journal says of a folder in it. */
export const childShape = map({
  folder: required(1, b16<'folder'>()),
  epoch: required(2, epochShape),
  write: required(3, b32),
  admin: required(4, b32),
  /** The parent's epoch in which the read and the write key are sealed. */
  parent: required(5, epochShape),
  sealedRead: required(6, sealedKey),
  sealedWrite: required(7, sealedKey),
  /** Whose admin seed seals the child's, or is the child's where there is no sealedAdmin. */
  adminFolder: required(8, b16<'folder'>()),
  adminEpoch: required(9, epochShape),
  sealedAdmin: optional(10, sealedKey),
});
export type Child = Infer<typeof childShape>;

/** What the child's journal must agree with. */
export function anchorOf({ folder, epoch, write, admin }: Child): Anchor {
  return { folder, epoch, keys: { write, admin } };
}

export function u32(n: number): Bytes {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

function childAad(by: FolderId, byEpoch: number, child: FolderId, epoch: number): Bytes {
  return concat(by, child, u32(byEpoch), u32(epoch));
}

const refuse = (why: string): never => {
  throw new FormatError('right', why);
};

async function sealOne(purposeKey: Bytes, type: string, aad: Bytes, key: Bytes): Promise<Bytes> {
  return await sealRecord({ purposeKey, type, aad }, key);
}

/** The child with its read and write key sealed for another parent, or another epoch of it. */
export async function resealChild(child: Child, parent: Place, keys: Keys): Promise<Child> {
  if (keys.write === undefined || parent.keys.write === undefined) {
    return refuse("sealing a folder's keys takes its own and its parent's");
  }
  const aad = childAad(parent.folder, parent.epoch, child.folder, child.epoch);
  const purpose = await deriveKey32(parent.keys.write, LABEL.childWrite, aad);
  return {
    ...child,
    parent: parent.epoch,
    write: await publicOf(keys.write),
    sealedRead: await sealOne(parent.keys.read, 'child-read', aad, keys.read),
    sealedWrite: await sealOne(purpose, 'child-write', aad, keys.write),
  };
}

/**
 * The keys of a child sealed for those of its parent. Who has no admin seed of the parent cannot seal the child's: the
 * child's admin key is then the parent's, of which `admin` is the public half.
 */
export async function sealChild(parent: Place, admin: Bytes, child: Place): Promise<Child> {
  const nothing = new Uint8Array(32 + RECORD_OVERHEAD);
  const base: Child = {
    folder: child.folder,
    epoch: child.epoch,
    write: admin,
    admin,
    parent: parent.epoch,
    sealedRead: nothing,
    sealedWrite: nothing,
    adminFolder: parent.folder,
    adminEpoch: parent.epoch,
  };
  if (child.keys.admin === undefined) return await resealChild(base, parent, child.keys);
  if (parent.keys.admin === undefined) {
    return refuse('only who administers the parent gives a child an admin key of its own');
  }
  const aad = childAad(parent.folder, parent.epoch, child.folder, child.epoch);
  const purpose = await deriveKey32(parent.keys.admin, LABEL.childAdmin, aad);
  const sealedAdmin = await sealOne(purpose, 'child-admin', aad, child.keys.admin);
  const own = { ...base, admin: await publicOf(child.keys.admin), sealedAdmin };
  return await resealChild(own, parent, child.keys);
}

/** The child's keys as far as the parent's open them: all but the admin seed. */
export async function openChild(child: Child, parent: Place): Promise<Keys> {
  if (parent.epoch !== child.parent) throw new FormatError('locked', `sealed in epoch ${child.parent} of the parent`);
  const aad = childAad(parent.folder, child.parent, child.folder, child.epoch);
  const read = await openRecord({ purposeKey: parent.keys.read, type: 'child-read', aad }, child.sealedRead);
  if (parent.keys.write === undefined) return { read };
  const purposeKey = await deriveKey32(parent.keys.write, LABEL.childWrite, aad);
  const write = await openRecord({ purposeKey, type: 'child-write', aad }, child.sealedWrite);
  if (!equal(await publicOf(write), child.write)) {
    throw new Alarm(child.folder, 'foreign', 0, 'the write seed is not that of the public key');
  }
  return { read, write };
}

/** The child's admin seed; `by` is the folder that adminFolder and adminEpoch name. */
export async function openChildAdmin(child: Child, by: Place): Promise<Bytes> {
  const { admin } = by.keys;
  if (!equal(by.folder, child.adminFolder) || by.epoch !== child.adminEpoch || admin === undefined) {
    throw new FormatError('locked', `the admin seed of folder ${toText(child.adminFolder)} opens it`);
  }
  let seed = admin;
  if (child.sealedAdmin !== undefined) {
    const aad = childAad(child.adminFolder, child.adminEpoch, child.folder, child.epoch);
    const purposeKey = await deriveKey32(admin, LABEL.childAdmin, aad);
    seed = await openRecord({ purposeKey, type: 'child-admin', aad }, child.sealedAdmin);
  }
  if (!equal(await publicOf(seed), child.admin)) {
    throw new Alarm(child.folder, 'foreign', 0, 'the admin seed is not that of the public key');
  }
  return seed;
}
