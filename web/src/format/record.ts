import { type Bytes, concat, equal, random } from './bytes.ts';
import { FormatError } from './errors.ts';
import { derive, info } from './kdf.ts';

// Small sealed records (docs/format.md §6).

const VERSION = 1;
const SALT_SIZE = 32;
const KEY_SIZE = 32;
const TAG_SIZE = 16;
/** What a record is longer than its plaintext: version, salt, C, tag. */
export const RECORD_OVERHEAD = 1 + SALT_SIZE + KEY_SIZE + TAG_SIZE;
/** The greatest size of a record whose type does not say otherwise. */
export const MAX_RECORD = 1024 * 1024;

/** What a record is sealed under. `aad` joins every id that it belongs to. */
export interface RecordKey {
  readonly purposeKey: Bytes;
  /** Without "holdfast/v1/". */
  readonly type: string;
  readonly aad: Bytes;
}

interface Derived {
  readonly key: Bytes;
  readonly commitment: Bytes;
}

/** The record's key and its commitment C. */
export async function deriveRecordKey({ purposeKey, type, aad }: RecordKey, salt: Bytes): Promise<Derived> {
  const both = await derive(purposeKey, salt, info(`holdfast/v1/${type}`, aad), 2 * KEY_SIZE);
  return { key: both.slice(0, KEY_SIZE), commitment: both.slice(KEY_SIZE) };
}

// Each salt is used once, and with it each key: so the nonce may be the same always.
const GCM: AesGcmParams = { name: 'AES-GCM', iv: new Uint8Array(12), tagLength: TAG_SIZE * 8 };

function importKey(key: Bytes, use: 'encrypt' | 'decrypt'): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', key, 'AES-GCM', false, [use]);
}

/** Seals plaintext. The salt is fresh; only tests that compare with known records give one. */
export async function sealRecord(
  under: RecordKey,
  plaintext: Bytes,
  max = MAX_RECORD,
  salt: Bytes = random(SALT_SIZE),
): Promise<Bytes> {
  if (plaintext.length + RECORD_OVERHEAD > max) {
    throw new FormatError('record', `a record of ${plaintext.length + RECORD_OVERHEAD} bytes, at most ${max} allowed`);
  }
  const { key, commitment } = await deriveRecordKey(under, salt);
  const sealed = await crypto.subtle.encrypt(GCM, await importKey(key, 'encrypt'), plaintext);
  key.fill(0);
  return concat(Uint8Array.of(VERSION), salt, commitment, new Uint8Array(sealed));
}

/** Opens a record: a wrong key is `commitment`, damage is `record`. */
export async function openRecord(under: RecordKey, record: Bytes, max = MAX_RECORD): Promise<Bytes> {
  if (record.length > 0 && record[0] !== VERSION) {
    throw new FormatError('version', `a record of version ${record[0]}; this program knows version 1 only`);
  }
  if (record.length < RECORD_OVERHEAD || record.length > max) {
    throw new FormatError('record', `a record of ${record.length} bytes; it has ${RECORD_OVERHEAD} to ${max}`);
  }
  const salt = record.slice(1, 1 + SALT_SIZE);
  const { key, commitment } = await deriveRecordKey(under, salt);
  if (!equal(commitment, record.subarray(1 + SALT_SIZE, 1 + SALT_SIZE + KEY_SIZE))) {
    throw new FormatError('commitment', 'the key does not fit this record');
  }
  const cipherKey = await importKey(key, 'decrypt');
  key.fill(0);
  try {
    const ciphertext = record.subarray(1 + SALT_SIZE + KEY_SIZE);
    return new Uint8Array(await crypto.subtle.decrypt(GCM, cipherKey, ciphertext));
  } catch (cause) {
    throw new FormatError('record', 'the record is damaged', { cause });
  }
}
