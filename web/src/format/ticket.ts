import { MAX_BASE_URL, wrongBaseUrl } from './base-url.ts';
import { MAX_BLOB } from './blob.ts';
import { type Bytes, equal } from './bytes.ts';
import { MAX_ENVELOPE, openEnvelope, parseEnvelope } from './envelope.ts';
import { FormatError } from './errors.ts';
import { keyId, type Name, type NodeId, toText, type UploadId } from './id.ts';
import { JURISDICTIONS } from './jurisdiction.ts';
import {
  array,
  b16,
  b32,
  decode,
  encode,
  type Infer,
  integer,
  map,
  name,
  optional,
  refine,
  required,
  type Shape,
  text,
  tuple,
  uint,
  yes,
} from './shape.ts';

// What servers and nodes sign (docs/format.md §8): tickets, receipts, orders, declarations, heartbeats.

const MAX_TEXT = 256;
const MAX_OPERATOR = 128;
const MAX_LISTED = 1024;

function twice(ids: readonly Bytes[]): boolean {
  return new Set(ids.map(toText)).size < ids.length;
}

/** A node's base URL. */
const baseUrl = refine(text(0, MAX_BASE_URL), wrongBaseUrl);

const jurisdiction = refine(text(2, 2), (code) =>
  JURISDICTIONS.has(code) ? undefined : 'a jurisdiction that is not of ISO 3166-1 alpha-2',
);

const range = refine(tuple(name, uint, uint), ([, offset, length]) =>
  length >= 1 && offset <= MAX_BLOB && length <= MAX_BLOB - offset ? undefined : 'a range that lies in no blob',
);

const place = map({ node: required(1, b16<'node'>()), url: required(2, baseUrl) });
const chain = refine(array(place, 2, 8), (places) =>
  twice(places.map(({ node }) => node)) ? 'a node twice in a chain' : undefined,
);
const uploadTicket = map({
  upload: required(1, b16<'upload'>()),
  chains: required(2, array(chain, 1, 8)),
  budget: required(3, uint),
  expires: required(4, uint),
});

const reads = map({ upload: required(1, b16<'upload'>()), ranges: required(2, array(range, 1, 64)) });
const readTicket = map({
  nodes: required(1, array(b16<'node'>(), 1, 16)),
  reads: required(2, array(reads, 1, 64)),
  expires: required(3, uint),
});

const stored = tuple(name, integer(1, MAX_BLOB));
const receipt = map({
  upload: required(1, b16<'upload'>()),
  node: required(2, b16<'node'>()),
  day: required(3, uint),
  blobs: required(
    4,
    refine(array(stored, 1, MAX_LISTED), (blobs) => (twice(blobs.map(([blob]) => blob)) ? 'a blob twice' : undefined)),
  ),
});

const orderFields = map({
  node: required(1, b16<'node'>()),
  epoch: required(2, integer(1, Number.MAX_SAFE_INTEGER)),
  number: required(3, integer(1, Number.MAX_SAFE_INTEGER)),
  action: required(4, integer(1, 3)),
  upload: required(5, b16<'upload'>()),
  blobs: optional(6, array(name, 1, MAX_LISTED)),
  keep: optional(7, array(range, 1, MAX_LISTED)),
  day: required(8, uint),
});

/** What an order's action is. */
export const ORDER_ACTION = { deleteUpload: 1, deleteBlobs: 2, repack: 3 } as const;

const order = refine(orderFields, ({ action, blobs, keep }) => {
  const { deleteUpload, repack } = ORDER_ACTION;
  if ((blobs !== undefined) !== (action !== deleteUpload)) return `action ${action} with or without blobs`;
  if ((keep !== undefined) !== (action === repack)) return `action ${action} with or without extents`;
  if (blobs !== undefined && twice(blobs)) return 'a blob twice';
  const [blob] = blobs ?? [];
  if (action !== repack || blob === undefined || keep === undefined) return undefined;
  if (blobs?.length !== 1) return 'repacking takes one blob';
  let end = 0;
  for (const [of, offset, length] of keep) {
    if (!equal(of, blob)) return 'an extent of another blob than the one repacked';
    if (offset < end) return 'extents overlap or are out of order';
    end = offset + length;
  }
  return undefined;
});

const orderReceipt = map({
  node: required(1, b16<'node'>()),
  epoch: required(2, uint),
  number: required(3, uint),
  outcome: required(4, integer(1, 2)),
  blobs: required(5, uint),
  bytes: required(6, uint),
  day: required(7, uint),
  order: required(8, b32),
});

const declaration = map({
  publicKey: required(1, b32),
  operator: required(2, text(1, MAX_OPERATOR)),
  jurisdiction: required(3, jurisdiction),
  url: required(4, baseUrl),
  capacity: required(5, uint),
  day: required(6, uint),
  parent: optional(7, text(1, MAX_TEXT)),
  site: optional(8, jurisdiction),
  storage: optional(9, text(1, MAX_TEXT)),
});

const heartbeat = map({
  node: required(1, b16<'node'>()),
  time: required(2, uint),
  used: required(3, uint),
  capacity: required(4, uint),
  state: required(5, integer(0, 1)),
  epoch: required(6, uint),
  number: required(7, uint),
  program: required(8, text(0, MAX_TEXT)),
  nonce: required(9, b16<'nonce'>()),
  held: optional(65, yes),
  order: optional(66, b32),
});

export type UploadTicket = Infer<typeof uploadTicket>;
export type ReadTicket = Infer<typeof readTicket>;
export type Receipt = Infer<typeof receipt>;
export type Order = Infer<typeof order>;
export type OrderReceipt = Infer<typeof orderReceipt>;
export type Declaration = Infer<typeof declaration>;
export type Heartbeat = Infer<typeof heartbeat>;

/** The payload of each type of envelope. */
export interface Payloads {
  readonly 'upload-ticket': UploadTicket;
  readonly 'read-ticket': ReadTicket;
  readonly receipt: Receipt;
  readonly order: Order;
  readonly 'order-receipt': OrderReceipt;
  readonly declaration: Declaration;
  readonly heartbeat: Heartbeat;
}

interface Kind<T> {
  readonly shape: Shape<T>;
  /** The node that alone may say this; left out where the server signs. */
  signer?(payload: T): NodeId | Promise<NodeId>;
}

const KINDS: { readonly [K in keyof Payloads]: Kind<Payloads[K]> } = {
  'upload-ticket': { shape: uploadTicket },
  'read-ticket': { shape: readTicket },
  receipt: { shape: receipt, signer: ({ node }) => node },
  order: { shape: order },
  'order-receipt': { shape: orderReceipt, signer: ({ node }) => node },
  declaration: { shape: declaration, signer: ({ publicKey }) => keyId(publicKey) },
  heartbeat: { shape: heartbeat, signer: ({ node }) => node },
};

/** The encoding of a payload of that type. */
export function encodePayload<K extends keyof Payloads>(type: K, payload: Payloads[K]): Bytes {
  return encode<Payloads[K]>(KINDS[type].shape, payload, MAX_ENVELOPE);
}

/** The payload of that type, without the envelope: for what is not checked yet, and for tests. */
export function decodePayload<K extends keyof Payloads>(type: K, payload: Bytes): Payloads[K] {
  return decode<Payloads[K]>(KINDS[type].shape, payload, MAX_ENVELOPE);
}

/** What an envelope of that type says, signed by one of the keys; a node's statement, by that node. */
export async function openSigned<K extends keyof Payloads>(
  type: K,
  publicKeys: readonly Bytes[],
  envelope: Bytes,
): Promise<Payloads[K]> {
  const { payload, publicKey } = await openEnvelope(type, publicKeys, envelope);
  const value = decodePayload(type, payload);
  const signer = await KINDS[type].signer?.(value);
  if (signer !== undefined && !equal(signer, await keyId<'node'>(publicKey))) {
    throw new FormatError('envelope', `a ${type} about another node than the one that signed it`);
  }
  return value;
}

/**
 * A declaration, under the key that it names itself: whoever made it holds that key. Who that is, nobody proves here;
 * the node's id is the key's.
 */
export async function openDeclaration(envelope: Bytes): Promise<{ node: NodeId; declaration: Declaration }> {
  const parsed = parseEnvelope(envelope);
  if (parsed.type !== 'declaration') throw new FormatError('envelope', 'of another type than declaration');
  const { publicKey } = decodePayload('declaration', parsed.payload);
  return { node: await keyId(publicKey), declaration: await openSigned('declaration', [publicKey], envelope) };
}

/** How far clocks may differ, in seconds: a ticket is good for that much longer than it says. */
const SKEW = 60;

function checkExpiry(expires: number, now: number): void {
  if (now - expires > SKEW) throw new FormatError('expired', "the ticket's time is over; ask the server for a new one");
}

/** Refuses what an upload ticket does not allow at a node at `now`, in Unix seconds (`expired`, `other-node`). */
export function checkUploadTicket(ticket: UploadTicket, node: NodeId, now: number): void {
  checkExpiry(ticket.expires, now);
  if (!ticket.chains.some((places) => places.some((place) => equal(place.node, node)))) {
    throw new FormatError('other-node', 'the ticket is for other nodes');
  }
}

/** A part of a blob that somebody wants to read. */
export interface Wanted {
  readonly upload: UploadId;
  readonly blob: Name;
  readonly offset: number;
  readonly length: number;
}

/** Refuses what a read ticket does not allow at a node at `now` (`expired`, `other-node`, `not-listed`). */
export function checkReadTicket(ticket: ReadTicket, node: NodeId, wanted: Wanted, now: number): void {
  checkExpiry(ticket.expires, now);
  if (!ticket.nodes.some((id) => equal(id, node))) throw new FormatError('other-node', 'the ticket is for other nodes');
  const { upload, blob, offset, length } = wanted;
  const covered = ticket.reads.some(
    (listed) =>
      equal(listed.upload, upload) &&
      listed.ranges.some(([of, from, size]) => equal(of, blob) && offset >= from && offset + length <= from + size),
  );
  if (!covered || length < 1) throw new FormatError('not-listed', 'the ticket does not cover these bytes');
}
