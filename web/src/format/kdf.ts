import { type Bytes, concat, utf8 } from './bytes.ts';

/** The labels of Holdfast's derivations, version 1. */
export const LABEL = {
  contentKey: 'holdfast/v1/content-key',
  content: 'holdfast/v1/content',
  commit: 'holdfast/v1/commit',
  linkFinal: 'holdfast/v1/link-final',
  linkAuth: 'holdfast/v1/link-auth',
  linkRecord: 'holdfast/v1/link-record',
  childWrite: 'holdfast/v1/child-write-key',
  childAdmin: 'holdfast/v1/child-admin-key',
  identitySign: 'holdfast/v1/identity-sign',
  identityBox: 'holdfast/v1/identity-box',
  rootFolder: 'holdfast/v1/root-folder',
  rootRead: 'holdfast/v1/root-read',
  rootWrite: 'holdfast/v1/root-write',
  rootAdmin: 'holdfast/v1/root-admin',
  headsFolder: 'holdfast/v1/heads-folder',
  headsRead: 'holdfast/v1/heads-read',
  headsWrite: 'holdfast/v1/heads-write',
  headsAdmin: 'holdfast/v1/heads-admin',
  settings: 'holdfast/v1/settings',
  wrapPassword: 'holdfast/v1/wrap-password',
  wrapPhrase: 'holdfast/v1/wrap-phrase',
  wrapPasskey: 'holdfast/v1/wrap-passkey',
  phraseAuth: 'holdfast/v1/phrase-auth',
  message: 'holdfast/v1/message',
  driveLinks: 'holdfast/v1/drive-links',
} as const;

const EMPTY: Bytes = new Uint8Array(0);

/** A label, one zero byte, and the ids that the result belongs to. */
export function info(label: string, ...ids: readonly Uint8Array[]): Bytes {
  return concat(utf8(label), new Uint8Array(1), ...ids);
}

/** Input key material, held by the engine: it cannot be read back. */
export function importKeyMaterial(ikm: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', ikm, 'HKDF', false, ['deriveBits', 'deriveKey']);
}

function parameters(salt: Bytes | undefined, context: Bytes): HkdfParams {
  return { name: 'HKDF', hash: 'SHA-256', salt: salt ?? EMPTY, info: context };
}

/** n bytes of HKDF-SHA256 (RFC 5869); without a salt, the empty one. */
export async function derive(ikm: Bytes | CryptoKey, salt: Bytes | undefined, context: Bytes, n = 32): Promise<Bytes> {
  const key = ikm instanceof Uint8Array ? await importKeyMaterial(ikm) : ikm;
  return new Uint8Array(await crypto.subtle.deriveBits(parameters(salt, context), key, n * 8));
}

/** A key for AES-256-GCM, derived by HKDF-SHA256 inside the engine: it cannot be read back. */
export function deriveAesKey(ikm: CryptoKey, salt: Bytes, context: Bytes): Promise<CryptoKey> {
  const use: KeyUsage[] = ['encrypt', 'decrypt'];
  return crypto.subtle.deriveKey(parameters(salt, context), ikm, { name: 'AES-GCM', length: 256 }, false, use);
}

/** 32 bytes with an empty salt. */
export function deriveKey32(ikm: Bytes | CryptoKey, label: string, ...ids: readonly Uint8Array[]): Promise<Bytes> {
  return derive(ikm, undefined, info(label, ...ids), 32);
}
