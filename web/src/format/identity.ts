import { wrongBaseUrl } from './base-url.ts';
import { type Bytes, concat, equal, sha256, utf8 } from './bytes.ts';
import { parseCrockford, toCrockford } from './crockford.ts';
import { openEnvelope, parseEnvelope, sealEnvelope } from './envelope.ts';
import { FormatError } from './errors.ts';
import type { AccountId } from './id.ts';
import { info } from './kdf.ts';
import { encryptionSeed, type Root, signingKey } from './keys.ts';
import { b16, b32, bytes, decode, encode, integer, map, required } from './shape.ts';
import { isPublicKey, publicKeyOf } from './xwing.ts';

// The public side of an account, its contact code and safety numbers (docs/format.md §14).

const TYPE = 'identity';
/** The greatest size of an identity's envelope. */
export const MAX_IDENTITY = 4 * 1024;
const ENCRYPTION_KEY_SIZE = 1216;

const shape = map({
  account: required(1, b16<'account'>()),
  epoch: required(2, integer(1, 2 ** 32 - 1)),
  signing: required(3, b32),
  encryption: required(4, bytes(ENCRYPTION_KEY_SIZE, ENCRYPTION_KEY_SIZE)),
});

/** An identity that is whole and signed by itself. */
export interface Identity {
  readonly account: AccountId;
  readonly epoch: number;
  readonly signing: Bytes;
  readonly encryption: Bytes;
  readonly fingerprint: Bytes;
  readonly envelope: Bytes;
}

/** The account's identity, signed. */
export async function identityOf(root: Root): Promise<Identity> {
  const key = await signingKey(root);
  const encryption = await publicKeyOf(await encryptionSeed(root));
  const payload = encode(
    shape,
    { account: root.account, epoch: root.epoch, signing: key.publicKey, encryption },
    MAX_IDENTITY,
  );
  return parseIdentity(await sealEnvelope(TYPE, key, payload));
}

/**
 * Reads an identity and checks that it signed itself. Whose it is, only a contact code or an earlier meeting tells.
 * Refused with `encoding`, `envelope` or `signature`.
 */
export async function parseIdentity(envelope: Bytes): Promise<Identity> {
  if (envelope.length > MAX_IDENTITY) throw new FormatError('encoding', `an identity of ${envelope.length} bytes`);
  const { payload } = parseEnvelope(envelope);
  const said = decode(shape, payload, MAX_IDENTITY);
  await openEnvelope(TYPE, [said.signing], envelope);
  if (!(await isPublicKey(said.encryption))) throw new FormatError('encoding', 'an encryption key that is none');
  return { ...said, fingerprint: await sha256(info('holdfast/v1/identity-fingerprint', payload)), envelope };
}

const VERSION = 1;
const PRINT_SIZE = 20;
const SUM_SIZE = 3;
const CODE_SIZE = 1 + 16 + PRINT_SIZE + SUM_SIZE;
const MAX_CODE = 1024;

/** What a contact code says: whose it is, and which key is theirs. */
export interface Contact {
  readonly account: AccountId;
  readonly print: Bytes;
}

export function contactOf({ account, fingerprint }: Identity): Contact {
  return { account, print: fingerprint.slice(0, PRINT_SIZE) };
}

async function checksum(head: Bytes): Promise<Bytes> {
  return (await sha256(info('holdfast/v1/contact-checksum', head))).slice(0, SUM_SIZE);
}

/** The contact's text, in groups of four. */
export async function contactCode({ account, print }: Contact): Promise<string> {
  const head = concat(Uint8Array.of(VERSION), account, print);
  return (toCrockford(concat(head, await checksum(head))).match(/.{4}/g) ?? []).join('-');
}

const PATH = '/c';

/** The contact's address at the server with that base URL; the code stands where servers do not see it. */
export async function contactAddress(base: string, contact: Contact): Promise<string> {
  return `${base.replace(/\/$/, '')}${PATH}#${await contactCode(contact)}`;
}

/** The code in an address, or what was no address as it is; undefined for an address that is none of a contact. */
function codeIn(text: string): string | undefined {
  const at = text.indexOf('#');
  if (at < 0) return text;
  const address = text.slice(0, at).replace(/^[\t-\r ]+/, '');
  if (!address.endsWith(PATH) || wrongBaseUrl(address.slice(0, -PATH.length)) !== undefined) return undefined;
  return text.slice(at + 1);
}

/** A contact code or address as people paste it; refused with `cut`, `unknown` or `checksum`. */
export async function parseContact(text: string): Promise<Contact> {
  const typed = utf8(text).length > MAX_CODE ? undefined : codeIn(text);
  const code = typed === undefined ? undefined : parseCrockford(typed.replace(/[\t-\r -]/g, ''));
  if (code?.length !== CODE_SIZE) throw new FormatError('cut', 'a contact code has 64 letters and digits');
  if (code[0] !== VERSION) throw new FormatError('unknown', 'a contact code of a later version');
  const head = code.slice(0, CODE_SIZE - SUM_SIZE);
  if (!equal(await checksum(head), code.subarray(CODE_SIZE - SUM_SIZE)))
    throw new FormatError('checksum', 'a letter or digit of the contact code is not right');
  return { account: head.slice(1, 17), print: head.slice(17) };
}

/** Refuses an identity that is not the contact's (`contact`). */
export function checkContact({ account, print }: Contact, identity: Identity): void {
  if (!equal(account, identity.account) || !equal(print, identity.fingerprint.subarray(0, PRINT_SIZE)))
    throw new FormatError('contact', 'this is not the identity that the contact code names');
}

const SAFETY_ROUNDS = 5200;

/** 60 digits for two people to compare, whichever of them asks. */
export async function safetyNumber(a: Identity, b: Identity): Promise<string> {
  return [await digits(a), await digits(b)].sort().join('');
}

async function digits({ fingerprint, account }: Identity): Promise<string> {
  const f = concat(fingerprint, account);
  const sha512 = async (data: Bytes): Promise<Bytes> => new Uint8Array(await crypto.subtle.digest('SHA-512', data));
  let hash = await sha512(info('holdfast/v1/safety-number', f));
  for (let round = 0; round < SAFETY_ROUNDS; round++) hash = await sha512(concat(hash, f));
  let out = '';
  for (let at = 0; at < 30; at += 5) {
    const five = hash.subarray(at, at + 5).reduce((sum, byte) => sum * 256 + byte, 0); // below 2^40
    out += String(five % 100_000).padStart(5, '0');
  }
  return out;
}
