import { utf8 } from './bytes.ts';
import { ASSIGNED_LATER } from './characters.ts';
import { FormatError } from './errors.ts';
import { hasManyMarks, isAllowed } from './password.ts';

// The name that an account logs in with (docs/format.md §14): names that differ by case, width or composition are one.

/** The greatest length of a prepared name in characters. */
export const MAX_NAME = 64;
const MAX_TYPED = 4 * 4 * MAX_NAME; // bytes; as of passwords, preparing shortens a text at most to a third

// The IdentifierClass of RFC 8264 by category, with its exceptions and the dot that isAllowed holds to its context.
const IDENTIFIER = /^[\x21-\x7e\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}\u06fd\u06fe\u0f0b\u3007\u30fb]*$/u;
// Halfwidth and Fullwidth Forms: their compatibility decompositions are <wide> and <narrow>.
const WIDTH = /[\uff01-\uffee]/g;
const LATER = new RegExp(`[${ASSIGNED_LATER}]`, 'u');

function prepareWord(word: string): string | undefined {
  const ordinary = word.replace(WIDTH, (c) => c.normalize('NFKC'));
  // Each letter by itself: a whole word would get a sigma for its end.
  const lower = [...ordinary].map((c) => c.toLowerCase()).join('');
  const prepared = lower.normalize('NFC');
  const compatible = [...prepared].some((c) => c.normalize('NFKC') !== c);
  if (prepared === '' || compatible || !isAllowed(prepared, IDENTIFIER)) return undefined;
  return prepared.replaceAll('\u03c2', '\u03c3');
}

/** The name as servers hash and compare it; refused with `account-name`, which quotes nothing. */
export function prepareName(text: string): string {
  // What a newer engine knows as a capital letter would become one that all know: so it is looked at before.
  const later = LATER.test(text);
  const words =
    later || utf8(text).length > MAX_TYPED || hasManyMarks(text) ? [undefined] : text.split(' ').map(prepareWord);
  const name = words.includes(undefined) ? undefined : words.join(' ');
  if (name === undefined || [...name].length > MAX_NAME) {
    throw new FormatError('account-name', `a name is 1 to ${MAX_NAME} letters, digits and signs, in words`);
  }
  return name;
}
