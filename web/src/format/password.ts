import { type Bytes, sha256, utf8 } from './bytes.ts';
import { ASSIGNED_LATER, EXCEPTIONS, JOINS_AFTER, JOINS_BEFORE, TRANSPARENT, VIRAMA } from './characters.ts';
import { FormatError } from './errors.ts';
import { type Handle, ID_SIZE, NAME_SIZE } from './id.ts';

// Passwords, prepared by the OpaqueString profile of RFC 8265, so that one password typed on two systems is one string
// of bytes, and stretched by Argon2id (docs/format.md §11). No error quotes a password.

const MAX_BYTES = 1024;
// Preparation shortens a text to a third at most: nothing longer could pass, and nothing longer is looked at.
const MAX_RAW = 4 * MAX_BYTES;

// What the FreeformClass of RFC 8264 allows by category …
const FREEFORM = /^[\p{L}\p{M}\p{N}\p{Zs}\p{S}\p{P}]*$/u;
// … less what is ignorable, exceptions, and what Go does not know yet.
const REFUSED = new RegExp(`[\\p{Default_Ignorable_Code_Point}${EXCEPTIONS}${ASSIGNED_LATER}]`, 'u');

// Characters that are allowed beside certain others only (RFC 5892, appendix A): joiners, the middle dot of Catalan,
// the Greek numeral sign, Hebrew geresh and gershayim.
const CONTEXTUAL = /\u200c|\u200d|\u00b7|\u0375|\u05f3|\u05f4/u;
const IN_CONTEXT = new RegExp(
  [
    `(?<=[${VIRAMA}])[\\u200c\\u200d]`,
    `(?<=[${JOINS_AFTER}][${TRANSPARENT}]*)\\u200c(?=[${TRANSPARENT}]*[${JOINS_BEFORE}])`,
    `(?<=l)\\u00b7(?=l)`,
    `\\u0375(?=\\p{Script=Greek})`,
    `(?<=\\p{Script=Hebrew})[\\u05f3\\u05f4]`,
  ].join('|'),
  'gu',
);
const KATAKANA_DOT = /\u30fb/u;
const JAPANESE = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u;
const ARABIC_DIGIT = /[\u0660-\u0669]/u;
const EXTENDED_ARABIC_DIGIT = /[\u06f0-\u06f9]/u;

const MANY_MARKS = /\p{M}{31}/u;

/**
 * Whether a text has more combining marks in a row than normalisers agree about: Unicode's stream-safe text format
 * (UAX #15) has the same limit.
 */
export function hasManyMarks(text: string): boolean {
  return MANY_MARKS.test(text.normalize('NFD'));
}

function refuse(message: string): never {
  throw new FormatError('password', message);
}

/** Whether a text has only characters of the class, and the ones that need a context (RFC 5892) in theirs. */
export function isAllowed(text: string, allowed = FREEFORM): boolean {
  const rest = text.replace(IN_CONTEXT, '');
  if (!allowed.test(rest) || REFUSED.test(rest) || CONTEXTUAL.test(rest)) return false;
  if (KATAKANA_DOT.test(text) && !JAPANESE.test(text)) return false;
  return !(ARABIC_DIGIT.test(text) && EXTENDED_ARABIC_DIGIT.test(text));
}

/**
 * The password as it enters a key derivation: spaces of all kinds become U+0020, the text is in NFC, nothing else
 * changes. Refused (`password`) are the empty password, control, invisible and unassigned characters, characters
 * outside the context that they need, and more than 1,024 bytes.
 */
export function prepare(password: string): string {
  if (password === '') refuse('it is empty; type at least one character');
  if (utf8(password).length > MAX_RAW) refuse(`it is longer than ${MAX_BYTES} bytes; use a shorter one`);
  if (/\p{Cc}/u.test(password)) refuse('it contains a control character, such as a tab or a line break');
  if (hasManyMarks(password)) refuse('it contains more than 30 accents or other marks on one letter');
  const prepared = password.replace(/\p{Zs}/gu, ' ').normalize('NFC');
  if (!isAllowed(prepared)) {
    refuse('it contains an invisible, unassigned or joining character, or an emoji made of several');
  }
  if (utf8(prepared).length > MAX_BYTES) refuse(`it is longer than ${MAX_BYTES} bytes; use a shorter one`);
  return prepared;
}

const SALT_LABEL = utf8('holdfast/v1/link-pw\0');

/** The password key of a link. It takes 64 MiB and about a second: call it in a worker. */
export async function linkPasswordKey(password: string, handle: Handle): Promise<Bytes> {
  const prepared = utf8(prepare(password));
  const salt = (await sha256(SALT_LABEL, handle)).slice(0, ID_SIZE);
  const { default: hashWasm } = await import('hash-wasm/dist/argon2.umd.min.js');
  const key = await hashWasm.argon2id({
    password: prepared,
    salt,
    iterations: 3,
    memorySize: 64 * 1024,
    parallelism: 1,
    hashLength: NAME_SIZE,
    outputType: 'binary',
  });
  return new Uint8Array(key);
}
