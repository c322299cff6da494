import { type Bytes, concat, equal, utf8 } from './bytes.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { FormatError } from './errors.ts';
import { type Identity, identityOf } from './identity.ts';
import { info, LABEL } from './kdf.ts';
import { encryptionSeed, type Root, signingKey } from './keys.ts';
import { b32, bytes, decode, encode, map, required, text } from './shape.ts';
import { ENC_SIZE, open, seal } from './xwing.ts';

// Messages to people: sealed to one, signed by another (docs/format.md §15).

const TYPE = 'message';
/** The greatest plaintext. */
export const MAX_MESSAGE = 32 * 1024;
const TAG_SIZE = 16;
const MAX_PAYLOAD = 64 * 1024;

const shape = map({
  purpose: required(1, text(1, 64)),
  sender: required(2, b32),
  recipient: required(3, b32),
  sealed: required(4, bytes(ENC_SIZE + TAG_SIZE, ENC_SIZE + TAG_SIZE + MAX_MESSAGE)),
});

const context = (sender: Bytes, recipient: Bytes, purpose: string): Bytes =>
  info(LABEL.message, concat(sender, recipient, utf8(purpose)));

/** Seals a text to a person, whose identity must have been checked against a contact code or a pin, and signs it. */
export async function sendMessage(root: Root, to: Identity, purpose: string, plain: Bytes): Promise<Bytes> {
  if (plain.length > MAX_MESSAGE) throw new RangeError(`a message of ${plain.length} bytes`);
  const { fingerprint: sender } = await identityOf(root);
  const recipient = to.fingerprint;
  const sealed = await seal(to.encryption, context(sender, recipient, purpose), plain);
  const payload = encode(shape, { purpose, sender, recipient, sealed }, MAX_PAYLOAD);
  return sealEnvelope(TYPE, await signingKey(root), payload);
}

/**
 * Checks that the pinned sender signed the message for this account and purpose, and only then opens it. Refused with
 * `encoding`, `envelope`, `signature`, `sender`, `recipient`, `purpose` or `message`.
 */
export async function receiveMessage(root: Root, from: Identity, purpose: string, message: Bytes): Promise<Bytes> {
  const { payload } = await openEnvelope(TYPE, [from.signing], message);
  const said = decode(shape, payload, MAX_PAYLOAD);
  const { fingerprint: mine } = await identityOf(root);
  if (!equal(said.sender, from.fingerprint)) throw new FormatError('sender', 'says that another account sent it');
  if (!equal(said.recipient, mine)) throw new FormatError('recipient', 'to somebody else');
  if (said.purpose !== purpose) throw new FormatError('purpose', 'for something else');
  try {
    return await open(await encryptionSeed(root), context(from.fingerprint, mine, purpose), said.sealed);
  } catch (cause) {
    throw new FormatError('message', 'it does not open', { cause });
  }
}
