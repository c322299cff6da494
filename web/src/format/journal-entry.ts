import { type Bytes, concat, equal, sha256, utf8 } from './bytes.ts';
import { type Signer, verify } from './ed25519.ts';
import { signedBytes } from './envelope.ts';
import { FormatError } from './errors.ts';
import { type FolderId, keyId, toText } from './id.ts';
import { Alarm, epochShape, type Public, u32 } from './journal-keys.ts';
import { type Author, type Body, bodyShape, type Operation, operationsShape } from './journal-operation.ts';
import { openRecord, sealRecord } from './record.ts';
import {
  array,
  b16,
  b32,
  bytes,
  decode,
  decodeExact,
  encode,
  type Infer,
  integer,
  map,
  optional,
  refine,
  required,
  type Shape,
  text,
} from './shape.ts';

// A journal's entries: what a server sees of them, and how they chain (docs/format.md §21).

/** The greatest size of an entry. */
export const MAX_ENTRY = 4 * 1024 * 1024;
/** The most ids in each list of one entry, and the most pages of a checkpoint. */
export const MAX_IDS = 65536;
export const MAX_PAGES = 4096;

const ENTRY_TYPE = 'journal-entry';

/** The order of two byte strings of one length. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function ids<K extends string>() {
  return refine(array(b16<K>(), 1, MAX_IDS), (list) =>
    list.every((id, i) => i === 0 || compareBytes(list[i - 1] ?? id, id) < 0) ? undefined : 'ids out of order',
  );
}

const startShape = map({
  write: required(1, b32),
  admin: required(2, b32),
  handover: optional(3, bytes(64, 64)),
});
/** The keys of an epoch, in the entry that begins it, with the consent of the epoch before. */
export type Start = Infer<typeof startShape>;

const outerFields = map({
  folder: required(1, b16<'folder'>()),
  seq: required(2, integer(1, Number.MAX_SAFE_INTEGER)),
  epoch: required(3, epochShape),
  previous: required(4, b32),
  added: optional(5, ids<'revision'>()),
  dropped: optional(6, ids<'revision'>()),
  foldersAdded: optional(7, ids<'folder'>()),
  foldersDropped: optional(8, ids<'folder'>()),
  sealed: required(9, bytes(0, MAX_ENTRY)),
  start: optional(10, startShape),
  pages: optional(11, array(b32, 1, MAX_PAGES)),
});
/** What a server sees of an entry. */
export type Outer = Infer<typeof outerFields>;

const outerShape: Shape<Outer> = refine(outerFields, ({ start, epoch }) =>
  start !== undefined && (start.handover === undefined) !== (epoch === 1)
    ? 'every epoch but the first has a handover'
    : undefined,
);

const envelopeShape = map({
  type: required(1, text(1, 256)),
  keyId: required(2, b16<'key'>()),
  payload: required(3, bytes(0, MAX_ENTRY)),
  signature: required(4, bytes(64, 64)),
});
type Envelope = Infer<typeof envelopeShape>;

/** A place in a folder's journal: after the entry `seq`, whose hash is `hash`; before the first both are zero. */
export interface Head {
  readonly folder: FolderId;
  readonly seq: number;
  readonly hash: Bytes;
}

/** Where an entry stands: what its seal and its author's signature bind. */
export interface Spot {
  readonly folder: FolderId;
  readonly seq: number;
  readonly epoch: number;
  readonly previous: Bytes;
}

function spotBytes({ folder, seq, epoch, previous }: Spot): Bytes {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(seq));
  return concat(folder, number, u32(epoch), previous);
}

/** An entry taken apart; nothing in it may be believed yet. */
export interface Entry {
  readonly envelope: Envelope;
  readonly outer: Outer;
  readonly hash: Bytes;
}

/** Decodes an entry, whose envelope has one form: an unknown key in it, which is not signed, would give it two hashes. */
export async function parseEntry(raw: Bytes): Promise<Entry> {
  const envelope = decodeExact(envelopeShape, raw, MAX_ENTRY);
  if (envelope.type !== ENTRY_TYPE) throw new FormatError('foreign', `of type ${envelope.type}`);
  return { envelope, outer: decode(outerShape, envelope.payload, MAX_ENTRY), hash: await sha256(raw) };
}

/** The entry, signed. */
export async function signEntry(outer: Outer, key: Signer): Promise<Bytes> {
  const payload = encode(outerShape, outer, MAX_ENTRY);
  const signature = await key.sign(signedBytes(ENTRY_TYPE, payload));
  const envelope = { type: ENTRY_TYPE, keyId: await keyId(key.publicKey), payload, signature };
  return encode(envelopeShape, envelope, MAX_ENTRY);
}

/** What the admin key of the epoch before signs. */
export function handoverBytes(spot: Spot, keys: Public): Bytes {
  return concat(utf8('holdfast/v1/handover\0'), spotBytes(spot), keys.write, keys.admin);
}

export async function consents(start: Start, previous: Bytes, spot: Spot): Promise<boolean> {
  return start.handover !== undefined && (await verify(previous, start.handover, handoverBytes(spot, start)));
}

/**
 * The verified end of a folder's journal, as far as public keys tell: what a server keeps, and the outer half of a
 * client's state. Before the first entry seq and epoch are 0, the hash zeros.
 */
export interface Chain extends Head {
  readonly epoch: number;
  readonly keys: Public;
}

const ZERO: Bytes = new Uint8Array(32);

export function emptyChain(folder: FolderId): Chain {
  return { folder, seq: 0, hash: ZERO, epoch: 0, keys: { write: ZERO, admin: ZERO } };
}

/** An entry that was found to be the next, and the chain that ends in it. */
export interface Followed extends Entry {
  readonly chain: Chain;
  readonly byAdmin: boolean;
}

/** Parses an entry that must be of that folder. */
export async function parseOf(chain: Chain, raw: Bytes): Promise<Entry> {
  let entry: Entry;
  try {
    entry = await parseEntry(raw);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new Alarm(chain.folder, cause.code === 'foreign' ? 'foreign' : 'encoding', chain.seq + 1, 'no entry', cause);
  }
  const { folder, seq } = entry.outer;
  if (!equal(folder, chain.folder)) throw new Alarm(chain.folder, 'foreign', seq, `of folder ${toText(folder)}`);
  return entry;
}

/** Verifies that raw is the next entry of the chain; it cannot tell whether the ids agree with the sealed operations. */
export async function checkEntry(chain: Chain, raw: Bytes): Promise<Followed> {
  const entry = await parseOf(chain, raw);
  const { outer, hash } = entry;
  const keys = keysOf(chain, entry);
  const byAdmin = await checkSignature(entry, keys);
  checkPosition(chain, entry);
  if (outer.start !== undefined && outer.epoch > 1) {
    if (!byAdmin) throw new Alarm(outer.folder, 'not-admin', outer.seq, 'an epoch begun with the write key');
    if (!(await consents(outer.start, chain.keys.admin, outer))) {
      throw new Alarm(outer.folder, 'not-admin', outer.seq, 'the epoch before did not consent');
    }
  }
  return { ...entry, byAdmin, chain: { folder: outer.folder, seq: outer.seq, hash, epoch: outer.epoch, keys } };
}

/** The keys of which one must have signed the entry. */
function keysOf(chain: Chain, entry: Entry): Public {
  const { start, epoch, seq, folder } = entry.outer;
  if (start === undefined && epoch === chain.epoch) return chain.keys;
  if (start !== undefined && epoch === chain.epoch + 1) return { write: start.write, admin: start.admin };
  // Beside the next place, what is missing or old is what to tell.
  if (seq !== chain.seq + 1) checkPosition(chain, entry);
  throw new Alarm(folder, 'epoch', seq, `of epoch ${epoch}, the folder's is ${chain.epoch}`);
}

/** Returns whether it is the admin key's. */
async function checkSignature({ envelope, outer }: Entry, keys: Public): Promise<boolean> {
  const byAdmin = equal(envelope.keyId, await keyId(keys.admin));
  if (!byAdmin && !equal(envelope.keyId, await keyId(keys.write))) {
    throw new Alarm(outer.folder, 'foreign', outer.seq, "not signed by this folder's writers");
  }
  const signed = signedBytes(ENTRY_TYPE, envelope.payload);
  if (!(await verify(byAdmin ? keys.admin : keys.write, envelope.signature, signed))) {
    throw new Alarm(outer.folder, 'planted', outer.seq, 'the signature does not verify');
  }
  return byAdmin;
}

function checkPosition(chain: Chain, { outer: { folder, seq, previous }, hash }: Entry): void {
  if (seq > chain.seq + 1) throw new Alarm(folder, 'gap', seq, `the last one seen is ${chain.seq}`);
  if (seq === chain.seq && !equal(hash, chain.hash)) throw new Alarm(folder, 'fork', seq, 'another entry was seen');
  if (seq <= chain.seq) throw new Alarm(folder, 'rollback', seq, `entry ${chain.seq} was seen`);
  if (!equal(previous, chain.hash)) throw new Alarm(folder, 'fork', seq, `it follows another entry ${chain.seq}`);
}

const MIN_BODY = 256;

/** Padmé from 256 on: a put of a file with a short name looks like a rename. */
export function paddedBody(n: number): number {
  if (n <= MIN_BODY) return MIN_BODY;
  const e = 31 - Math.clz32(n);
  const low = 2 ** (e - (32 - Math.clz32(e)));
  return Math.ceil(n / low) * low;
}

/** The padded plaintext of a body. */
export function bodyBytes(body: Body): Bytes {
  const encoded = encode(bodyShape, body, MAX_ENTRY);
  const out = new Uint8Array(paddedBody(4 + encoded.length));
  out.set(u32(encoded.length));
  out.set(encoded, 4);
  return out;
}

export function decodeBody(plain: Bytes): Body {
  const n = plain.length < 4 ? 0 : new DataView(plain.buffer, plain.byteOffset).getUint32(0);
  if (plain.length < 4 || n > plain.length - 4 || paddedBody(4 + n) !== plain.length) {
    throw new FormatError('encoding', 'a body padded to another length');
  }
  if (plain.subarray(4 + n).some((byte) => byte !== 0)) throw new FormatError('encoding', 'padding that is not zero');
  return decodeExact(bodyShape, plain.subarray(4, 4 + n), MAX_ENTRY);
}

const sealKey = (purposeKey: Bytes, spot: Spot) => ({ purposeKey, type: 'journal-operations', aad: spotBytes(spot) });

export function sealBody(read: Bytes, spot: Spot, body: Body): Promise<Bytes> {
  return sealRecord(sealKey(read, spot), bodyBytes(body), MAX_ENTRY);
}

/** The body; what does not open or decode is an error of either kind. */
export async function openBody(read: Bytes, outer: Outer): Promise<Body> {
  return decodeBody(await openRecord(sealKey(read, outer), outer.sealed, MAX_ENTRY));
}

/** What the acting member signs. */
export async function authoredBytes(spot: Spot, operations: Operation[]): Promise<Bytes> {
  const digest = await sha256(encode(operationsShape, operations, MAX_ENTRY));
  return concat(utf8('holdfast/v1/journal-author\0'), spotBytes(spot), digest);
}

export async function verifyAuthor(author: Author, key: Bytes, spot: Spot, operations: Operation[]): Promise<boolean> {
  return verify(key, author.signature, await authoredBytes(spot, operations));
}

/** The read keys of a folder's epochs, and what is known of its members. */
export interface Opener {
  readonly reads: Map<number, Bytes>;
  /** The identity key of an account, undefined if it is not known. Entries of known members must be signed by them. */
  readonly member?: (account: Bytes) => Bytes | undefined;
  /** Whether every entry must name a known member. */
  readonly signed?: boolean;
}

export function readKeyOf(opener: Opener, epoch: number): Bytes {
  const key = opener.reads.get(epoch);
  if (key === undefined) throw new FormatError('locked', `no read key of epoch ${epoch}`);
  return key;
}
