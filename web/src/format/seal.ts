import { type Bytes, concat, equal, random } from './bytes.ts';
import { FormatError } from './errors.ts';
import type { FileId, RevisionId } from './id.ts';
import { derive, deriveAesKey, importKeyMaterial, info, LABEL } from './kdf.ts';
import { FIRST_PLAIN, HEADER_SIZE, PLAIN, plainLength, segmentAt, TAG_SIZE } from './stream.ts';

// Content streams (docs/format.md §4): Tink's streaming AEAD under a content key that neither the holder of K nor the
// keeper of R has alone, with a commitment to that key. Segments seal and open in any order, several at once.

const HEADER_BYTE = 0x28;
const SALT_SIZE = 32;
const PREFIX_SIZE = 7;
const MAX_SEGMENTS = 2 ** 32; // the counter in the nonce

/** What a stream is sealed under: the file key K, the release key R, and the ids it belongs to. */
export interface ContentKeys {
  readonly key: Bytes;
  readonly releaseKey: Bytes;
  readonly fileId: FileId;
  readonly revisionId: RevisionId;
}

/** The random part of a stream's header; it stands in the revision record, too. */
export interface StreamHead {
  readonly salt: Bytes;
  readonly prefix: Bytes;
}

/** A fresh salt and prefix. One pair for one plaintext under one content key, ever (docs/format.md §12). */
export function newHead(): StreamHead {
  return { salt: random(SALT_SIZE), prefix: random(PREFIX_SIZE) };
}

export function encodeHeader({ salt, prefix }: StreamHead): Bytes {
  if (salt.length !== SALT_SIZE || prefix.length !== PREFIX_SIZE) throw new RangeError('salt of 32 bytes, prefix of 7');
  return concat(Uint8Array.of(HEADER_BYTE), salt, prefix);
}

/** The head of a stream that begins with these bytes. */
export function parseHeader(stream: Bytes): StreamHead {
  if (stream.length > 0 && stream[0] !== HEADER_BYTE) {
    throw new FormatError('version', `the stream begins with ${stream[0]}; this program knows version 1 only`);
  }
  if (stream.length < HEADER_SIZE) throw new FormatError('length', 'the stream ends within its header');
  return { salt: stream.slice(1, 1 + SALT_SIZE), prefix: stream.slice(1 + SALT_SIZE, HEADER_SIZE) };
}

/** The associated data of all of a stream's segments. */
export function associatedData(fileId: FileId, revisionId: RevisionId): Bytes {
  return info(LABEL.content, fileId, revisionId);
}

/** The content key: neither K nor R alone tells anything of it. */
export function deriveContentKey(key: Bytes, releaseKey: Bytes, revisionId: RevisionId): Promise<Bytes> {
  return derive(key, releaseKey, info(LABEL.contentKey, revisionId));
}

interface StreamKey {
  readonly segmentKey: CryptoKey;
  readonly commitment: Bytes;
}

async function deriveStreamKey(keys: ContentKeys, salt: Bytes): Promise<StreamKey> {
  const raw = await deriveContentKey(keys.key, keys.releaseKey, keys.revisionId);
  const contentKey = await importKeyMaterial(raw);
  raw.fill(0);
  const aad = associatedData(keys.fileId, keys.revisionId);
  const [segmentKey, commitment] = await Promise.all([
    deriveAesKey(contentKey, salt, aad),
    derive(contentKey, salt, info(LABEL.commit, aad)),
  ]);
  return { segmentKey, commitment };
}

/** The AES-GCM parameters of one segment. */
function parameters(prefix: Bytes, index: number, last: boolean): AesGcmParams {
  const iv = new Uint8Array(12);
  iv.set(prefix);
  new DataView(iv.buffer).setUint32(PREFIX_SIZE, index);
  iv[11] = last ? 1 : 0;
  return { name: 'AES-GCM', iv, tagLength: TAG_SIZE * 8 };
}

/** Seals the segments of one stream. It holds no key that could be read back, and crosses to workers by its parts. */
export class Sealer {
  readonly segmentKey: CryptoKey;
  readonly head: StreamHead;
  /** C, for the descriptor and the revision record. */
  readonly commitment: Bytes;

  constructor(segmentKey: CryptoKey, head: StreamHead, commitment: Bytes) {
    this.segmentKey = segmentKey;
    this.head = head;
    this.commitment = commitment;
  }

  static async create(keys: ContentKeys, head: StreamHead = newHead()): Promise<Sealer> {
    const { segmentKey, commitment } = await deriveStreamKey(keys, head.salt);
    return new Sealer(segmentKey, head, commitment);
  }

  /** The 40 bytes before segment 0. */
  get header(): Bytes {
    return encodeHeader(this.head);
  }

  /** Ciphertext and tag of a segment, whose plaintext is padded, and full unless it is the last. */
  async sealSegment(plaintext: Bytes, index: number, last: boolean): Promise<Bytes> {
    const full = index === 0 ? FIRST_PLAIN : PLAIN;
    if (!Number.isInteger(index) || index < 0 || index >= MAX_SEGMENTS) throw new RangeError(`segment ${index}`);
    if (plaintext.length > full || (!last && plaintext.length < full) || (index > 0 && plaintext.length === 0)) {
      throw new RangeError(`segment ${index} with ${plaintext.length} bytes of plaintext; a full one has ${full}`);
    }
    const sealed = await crypto.subtle.encrypt(parameters(this.head.prefix, index, last), this.segmentKey, plaintext);
    return new Uint8Array(sealed);
  }
}

/** Opens the segments of one stream, in any order. */
export class Opener {
  readonly segmentKey: CryptoKey;
  readonly prefix: Bytes;
  readonly length: number;

  /** For a worker that was given the parts of an opener; anybody else uses `create`, which checks the commitment. */
  constructor(segmentKey: CryptoKey, prefix: Bytes, length: number) {
    this.segmentKey = segmentKey;
    this.prefix = prefix;
    this.length = length;
  }

  /**
   * `commitment` is C from the descriptor, `length` the stream's. Nothing can be opened before C was compared: under
   * another key the answer is `commitment`, not garbage and not "damaged".
   */
  static async create(keys: ContentKeys, head: StreamHead, commitment: Bytes, length: number): Promise<Opener> {
    plainLength(length); // refuses what no stream has
    const derived = await deriveStreamKey(keys, head.salt);
    if (!equal(derived.commitment, commitment)) {
      throw new FormatError('commitment', 'the key does not fit this file, or the file is not the one that was sent');
    }
    return new Opener(derived.segmentKey, head.prefix, length);
  }

  /** The padded plaintext of segment `index`, given its ciphertext with tag (segment 0 without the header). */
  async openSegment(ciphertext: Bytes, index: number): Promise<Bytes> {
    const { last, from, to } = segmentAt(index, this.length);
    if (ciphertext.length !== to - from) {
      throw new FormatError('segment', `segment ${index} has ${ciphertext.length} bytes instead of ${to - from}`);
    }
    try {
      const how = parameters(this.prefix, index, last);
      return new Uint8Array(await crypto.subtle.decrypt(how, this.segmentKey, ciphertext));
    } catch (cause) {
      throw new FormatError('segment', `segment ${index} is damaged, or belongs elsewhere`, { cause });
    }
  }
}

/**
 * What of `plain`, which begins at byte `offset` of the padded plaintext, belongs to the file. The rest is padding and
 * must be zero.
 */
export function withoutPadding(plain: Bytes, offset: number, trueSize: number): Bytes {
  const size = Math.min(Math.max(trueSize - offset, 0), plain.length);
  for (let i = size; i < plain.length; i++) {
    if (plain[i] !== 0) throw new FormatError('padding', `byte ${offset + i} of the padding is not zero`);
  }
  return plain.subarray(0, size);
}
