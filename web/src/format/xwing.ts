import type { CipherSuite } from '@hpke/core';
import type { Bytes } from './bytes.ts';

// HPKE (RFC 9180) with X-Wing, HKDF-SHA256 and AES-256-GCM, by a library that is fetched when it is wanted.

/** The length of an encapsulation. */
export const ENC_SIZE = 1120;

let loading: Promise<CipherSuite> | undefined;

async function load(): Promise<CipherSuite> {
  const { Aes256Gcm, CipherSuite: Suite, HkdfSha256 } = await import('@hpke/core');
  const { XWing } = await import('@hpke/hybridkem-x-wing');
  return new Suite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}

function suite(): Promise<CipherSuite> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined; // a fetch that failed is tried again
    throw cause;
  });
  return loading;
}

const isPrivate = false;

async function privateKey(seed: Bytes): Promise<CryptoKey> {
  return (await suite()).kem.importKey('raw', seed.slice().buffer, isPrivate);
}

/** The public key of a seed of 32 bytes. */
export async function publicKeyOf(seed: Bytes): Promise<Bytes> {
  const { XWing } = await import('@hpke/hybridkem-x-wing');
  const kem = new XWing();
  const { publicKey } = await kem.generateKeyPairDerand(seed);
  return new Uint8Array(await kem.serializePublicKey(publicKey));
}

/** Whether these bytes are a public key: somebody can seal to it. */
export async function isPublicKey(key: Bytes): Promise<boolean> {
  try {
    await seal(key, new Uint8Array(0), new Uint8Array(0));
    return true;
  } catch {
    return false;
  }
}

/** enc || ciphertext || tag. */
export async function seal(publicKey: Bytes, info: Bytes, text: Bytes): Promise<Bytes> {
  const hpke = await suite();
  const recipientPublicKey = await hpke.kem.importKey('raw', publicKey.slice().buffer, true);
  const sender = await hpke.createSenderContext({ recipientPublicKey, info: info.slice().buffer });
  const sealed = new Uint8Array(await sender.seal(text));
  const out = new Uint8Array(ENC_SIZE + sealed.length);
  out.set(new Uint8Array(sender.enc));
  out.set(sealed, ENC_SIZE);
  return out;
}

/** Opens what `seal` made; throws the library's error when it does not open. */
export async function open(seed: Bytes, info: Bytes, sealed: Bytes): Promise<Bytes> {
  const hpke = await suite();
  const enc = sealed.slice(0, ENC_SIZE).buffer;
  const recipient = await hpke.createRecipientContext({
    recipientKey: await privateKey(seed),
    enc,
    info: info.slice().buffer,
  });
  return new Uint8Array(await recipient.open(sealed.slice(ENC_SIZE)));
}
