import { type Bytes, equal } from './bytes.ts';
import { FormatError } from './errors.ts';
import { ROLE } from './journal-grant.ts';
import { epochShape, type Keys, type Public, publicOf } from './journal-keys.ts';
import { nameShape } from './journal-operation.ts';
import { b16, b32, decode, encode, type Infer, integer, map, optional, refine, required } from './shape.ts';

// What members of a folder write to each other (docs/format.md §27): the plaintext of messages.

/** The purpose of the messages that carry such texts. */
export const SHARING = 'sharing';
/** The size of every text, whatever it says. */
const SIZE = 1024;
const MAX_BODY = SIZE - 4;
export const TEXT = { invitation: 1, answer: 2 } as const;
export const ANSWER = { accepted: 1, declined: 2 } as const;

const fields = map({
  kind: required(1, integer(TEXT.invitation, TEXT.answer)),
  folder: required(2, b16<'folder'>()),
  epoch: optional(3, epochShape),
  role: optional(4, integer(ROLE.reads, ROLE.admins)),
  read: optional(5, b32),
  write: optional(6, b32),
  admin: optional(7, b32),
  writeKey: optional(8, b32),
  adminKey: optional(9, b32),
  name: optional(10, nameShape),
  answer: optional(11, integer(ANSWER.accepted, ANSWER.declined)),
});
/** An invitation, which has keys and the public keys of the folder, or an answer. */
export type Text = Infer<typeof fields>;

const INVITATION = ['epoch', 'role', 'read', 'writeKey', 'adminKey', 'name'] as const;
const SEEDS = ['write', 'admin'] as const;

function textFault(text: Text): string | undefined {
  const has = (key: keyof Text): boolean => text[key] !== undefined;
  if (text.kind === TEXT.answer)
    return has('answer') && ![...INVITATION, ...SEEDS].some(has) ? undefined : 'an answer with other keys';
  if (has('answer') || !INVITATION.every(has)) return 'an invitation with other keys';
  const keys = [text.read, text.write, text.admin];
  return keys.some((key) => key?.every((byte) => byte === 0)) ? 'a key of zeros' : undefined;
}

const textShape = refine(fields, textFault);

/** The body of a text, as it is encoded. */
export const encodeBody = (text: Text): Bytes => encode(textShape, text, MAX_BODY);

/** An invitation's keys must be those of its role (`role`) and of its public keys (`foreign`). */
async function checkKeys({ role = 0, write, admin, writeKey, adminKey }: Text): Promise<void> {
  if ((write !== undefined) !== role >= ROLE.writes || (admin !== undefined) !== role >= ROLE.admins)
    throw new FormatError('role', 'the keys are not those of the role');
  for (const [seed, key] of [
    [write, writeKey],
    [admin, adminKey],
  ]) {
    if (seed !== undefined && key !== undefined && !equal(await publicOf(seed), key))
      throw new FormatError('foreign', 'the keys are not those of the folder');
  }
}

/** A text, for sendMessage; refused as decodeText does. */
export async function encodeText(text: Text): Promise<Bytes> {
  const body = encodeBody(text);
  if (text.kind === TEXT.invitation) await checkKeys(text);
  const out = new Uint8Array(SIZE);
  new DataView(out.buffer).setUint32(0, body.length);
  out.set(body, 4);
  return out;
}

/** Reads a text; refused with `padding`, `encoding`, `role` or `foreign`. */
export async function decodeText(padded: Bytes): Promise<Text> {
  if (padded.length !== SIZE) throw new FormatError('padding', `a text of ${padded.length} bytes`);
  const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  if (length > MAX_BODY || padded.subarray(4 + length).some((byte) => byte !== 0))
    throw new FormatError('padding', 'padded otherwise than with zeros');
  const text = decode(textShape, padded.slice(4, 4 + length), MAX_BODY);
  if (text.kind === TEXT.invitation) await checkKeys(text);
  return text;
}

/** The keys of an invitation, as far as its role has them, and the folder's public keys. */
export function keysOf({ read, write, admin, writeKey, adminKey }: Text): { keys: Keys; public: Public } {
  if (read === undefined || writeKey === undefined || adminKey === undefined) throw new TypeError('no invitation');
  return {
    keys: { read, ...(write && { write }), ...(admin && { admin }) },
    public: { write: writeKey, admin: adminKey },
  };
}
