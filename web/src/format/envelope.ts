import { type Bytes, concat, equal, sha256, utf8 } from './bytes.ts';
import { type Signer, verify } from './ed25519.ts';
import { FormatError } from './errors.ts';
import { fromText, keyId, toText } from './id.ts';
import { b16, bytes, decode, encode, type Infer, map, required, text } from './shape.ts';

// The one shape of everything signed (docs/format.md §8).

/** The greatest size of an envelope. */
export const MAX_ENVELOPE = 64 * 1024;

const MAX_TYPE = 256;

const envelopeShape = map({
  type: required(1, text(0, MAX_TYPE)),
  keyId: required(2, b16<'key'>()),
  payload: required(3, bytes(0, MAX_ENVELOPE)),
  signature: required(4, bytes(64, 64)),
});

export type Envelope = Infer<typeof envelopeShape>;

/** Takes an envelope apart without checking its signature: nothing in it may be believed yet. */
export function parseEnvelope(envelope: Bytes): Envelope {
  return decode(envelopeShape, envelope, MAX_ENVELOPE);
}

/** The bytes that are signed. */
export function signedBytes(type: string, payload: Bytes): Bytes {
  return concat(utf8(`holdfast/v1/${type}\0`), payload);
}

/** The key that an envelope of that type names, out of those that the reader accepts. */
async function chooseKey(envelope: Envelope, type: string, publicKeys: readonly Bytes[]): Promise<Bytes> {
  if (envelope.type !== type) throw new FormatError('envelope', `of another type than ${type}`);
  for (const key of publicKeys) {
    if (equal(await keyId(key), envelope.keyId)) return key;
  }
  throw new FormatError('envelope', `signed under key ${toText(envelope.keyId)}, which is not accepted here`);
}

/** An envelope that was checked. */
export interface Opened {
  readonly payload: Bytes;
  readonly publicKey: Bytes;
}

/** The payload of an envelope of that type that one of the keys signed. */
export async function openEnvelope(type: string, publicKeys: readonly Bytes[], envelope: Bytes): Promise<Opened> {
  const parsed = parseEnvelope(envelope);
  const publicKey = await chooseKey(parsed, type, publicKeys);
  if (!(await verify(publicKey, parsed.signature, signedBytes(type, parsed.payload)))) {
    throw new FormatError('signature', 'the signature does not verify');
  }
  return { payload: parsed.payload, publicKey };
}

/** An envelope from its text in JSON, headers and URLs, of which nothing is checked yet but the size. */
export function envelopeFromText(envelope: string): Bytes {
  const raw = envelope.length <= Math.ceil((MAX_ENVELOPE * 4) / 3) ? fromText(envelope) : undefined;
  if (raw === undefined) throw new FormatError('encoding', 'not an envelope in base64url');
  return raw;
}

/** SHA-256 of an envelope's payload as transmitted: by it an order receipt names its order. */
export function payloadDigest(envelope: Bytes): Promise<Bytes> {
  return sha256(parseEnvelope(envelope).payload);
}

/** Signs a payload. */
export async function sealEnvelope(type: string, key: Signer, payload: Bytes): Promise<Bytes> {
  const signature = await key.sign(signedBytes(type, payload));
  return encode(envelopeShape, { type, keyId: await keyId(key.publicKey), payload, signature }, MAX_ENVELOPE);
}
