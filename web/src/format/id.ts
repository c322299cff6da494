import { type Bytes, concat, random, sha256, utf8 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** Bytes in an id, and in names, keys and secrets. */
export const ID_SIZE = 16;
export const NAME_SIZE = 32;

/**
 * An id of kind K. K is a tag that exists for the compiler alone, so that a node's id never passes for an upload's;
 * bytes of no kind (fresh from a decoder or a vector) pass for any.
 */
export type Id<K extends string> = Bytes & { readonly __kind?: K };
export type UploadId = Id<'upload'>;
export type NodeId = Id<'node'>;
export type FileId = Id<'file'>;
export type RevisionId = Id<'revision'>;
export type Handle = Id<'handle'>;
export type KeyId = Id<'key'>;
export type AccountId = Id<'account'>;
export type FolderId = Id<'folder'>;
export type EntryId = Id<'entry'>;
/** A blob's name: the BLAKE3 hash of its bytes. */
export type Name = Bytes & { readonly __kind?: 'name' };

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const VALUES: ReadonlyMap<string, number> = new Map([...ALPHABET].map((c, i) => [c, i]));

/** Base64url without padding (RFC 4648 §5). */
export function toText(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const chars = left >= 3 ? 4 : left + 1;
    for (let k = 0; k < chars; k++) out += ALPHABET.charAt((word >> (18 - 6 * k)) & 63);
  }
  return out;
}

/**
 * The bytes whose one text form `text` is, or undefined: another alphabet, padding, white space, a length that no
 * bytes have, or trailing bits that are not zero.
 */
export function fromText(text: string): Bytes | undefined {
  if (text.length % 4 === 1) return undefined;
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let at = 0;
  for (const c of text) {
    const value = VALUES.get(c);
    if (value === undefined) return undefined;
    word = ((word << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (word >> bits) & 255;
    }
  }
  return (word & ((1 << bits) - 1)) === 0 ? out : undefined;
}

function parse(text: string, size: number): Bytes {
  const characters = Math.ceil((size * 4) / 3);
  const bytes = text.length === characters ? fromText(text) : undefined;
  if (bytes === undefined) throw new FormatError('id', `not ${characters} characters of base64url`);
  return bytes;
}

/** The id whose text form `text` is. */
export function parseId<K extends string>(text: string): Id<K> {
  return parse(text, ID_SIZE);
}

/** The name, key or secret whose text form `text` is. */
export function parseName(text: string): Name {
  return parse(text, NAME_SIZE);
}

/** A fresh random id. */
export function newId<K extends string>(): Id<K> {
  return random(ID_SIZE);
}

/** A fresh random file key, release key or secret. */
export function newKey(): Bytes {
  return random(NAME_SIZE);
}

const KEY_ID_LABEL = utf8('holdfast/v1/key-id\0');

/** The id of an Ed25519 public key; a node's id is that of its signing key: `keyId<'node'>(key)`. */
export async function keyId<K extends string = 'key'>(publicKey: Bytes): Promise<Id<K>> {
  if (publicKey.length !== 32) throw new RangeError('an Ed25519 public key has 32 bytes');
  return (await sha256(concat(KEY_ID_LABEL, publicKey))).slice(0, ID_SIZE);
}
