import { type Bytes, concat } from './bytes.ts';
import { fromText } from './id.ts';

// Ed25519 (RFC 8032). Engines have it in WebCrypto, newer ones at least, and disagree in corners that no
// honest signer reaches: points of small order and encodings that are not canonical. Those are refused before anybody
// is asked, so that one signature is good in every browser or in none.

const KEY_SIZE = 32;
const SIGNATURE_SIZE = 64;

// The y coordinates, little-endian, of the points of small order: 0, 1, -1, and the two of order 8.
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

/** Whether the point is one that an honest signer could name: its y below 2^255-19, and not of small order. */
export function isHonestPoint(point: Bytes): boolean {
  const y = point.slice();
  y[31] = (y[31] ?? 0) & 0x7f;
  const atLeastP = y[31] === 0x7f && y.subarray(1, 31).every((b) => b === 0xff) && (y[0] ?? 0) >= 0xed;
  return !atLeastP && !SMALL_ORDER.has(Array.from(y, (b) => b.toString(16).padStart(2, '0')).join(''));
}

type Verify = (publicKey: Bytes, signature: Bytes, message: Bytes) => Promise<boolean>;

async function verifyInEngine(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify']);
  } catch {
    return false; // an engine with Ed25519 refuses nothing here but 32 bytes that are no point
  }
  return crypto.subtle.verify('Ed25519', key, signature, message);
}

function littleEndian(bytes: Bytes): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** The same in BigInt arithmetic, for engines without Ed25519; fetched only there. Nothing in it is secret. */
export async function verifyInScript(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  const { ed25519 } = await import('@noble/curves/ed25519.js');
  const { Point } = ed25519;
  const order = Point.Fn.ORDER;
  const s = littleEndian(signature.slice(32));
  if (s >= order) return false;
  let key: InstanceType<typeof Point>;
  try {
    key = Point.fromBytes(publicKey);
  } catch {
    return false; // no point of the curve
  }
  const hashed = concat(signature.subarray(0, 32), publicKey, message);
  const k = littleEndian(new Uint8Array(await crypto.subtle.digest('SHA-512', hashed))) % order;
  const r = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(k)).toBytes();
  return r.every((byte, i) => byte === signature[i]);
}

let verifier: Promise<Verify> | undefined;

async function choose(): Promise<Verify> {
  try {
    // The base point is a valid key.
    const probe = new Uint8Array(KEY_SIZE).fill(0x66);
    probe[0] = 0x58;
    await crypto.subtle.importKey('raw', probe, 'Ed25519', false, ['verify']);
    return verifyInEngine;
  } catch {
    return verifyInScript; // the engine has no Ed25519
  }
}

/** Whether the signature holds by `check`, which is not asked about what no honest signer makes. */
export async function verifyBy(check: Verify, publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  if (publicKey.length !== KEY_SIZE || signature.length !== SIGNATURE_SIZE) return false;
  if (!isHonestPoint(publicKey) || !isHonestPoint(signature.slice(0, KEY_SIZE))) return false;
  return check(publicKey, signature, message);
}

/** Whether `signature` over `message` is that of the holder of `publicKey`. */
export async function verify(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  verifier ??= choose();
  return verifyBy(await verifier, publicKey, signature, message);
}

/** Signs; the seed is held where it was made into this. */
export interface Signer {
  readonly publicKey: Bytes;
  sign(message: Bytes): Promise<Bytes>;
}

/** What stands before a seed in PKCS #8 (RFC 8410, §7). */
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);

async function signerInEngine(seed: Bytes): Promise<Signer> {
  const pkcs8 = concat(PKCS8, seed);
  const exported = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']);
  const publicKey = fromText((await crypto.subtle.exportKey('jwk', exported)).x ?? '');
  if (publicKey?.length !== KEY_SIZE) throw new TypeError('the engine names no public key');
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign']);
  pkcs8.fill(0);
  return {
    publicKey,
    sign: async (message) => new Uint8Array(await crypto.subtle.sign('Ed25519', key, message)),
  };
}

/** For engines without Ed25519; fetched only there. */
export async function signerInScript(seed: Bytes): Promise<Signer> {
  const { ed25519 } = await import('@noble/curves/ed25519.js');
  return {
    publicKey: new Uint8Array(ed25519.getPublicKey(seed)),
    sign: (message) => Promise.resolve(new Uint8Array(ed25519.sign(message, seed))),
  };
}

/** The private key of a seed of 32 bytes (RFC 8032). */
export async function signer(seed: Bytes): Promise<Signer> {
  if (seed.length !== KEY_SIZE) throw new RangeError(`a seed of ${seed.length} bytes`);
  verifier ??= choose();
  return (await verifier) === verifyInEngine ? signerInEngine(seed) : signerInScript(seed);
}
