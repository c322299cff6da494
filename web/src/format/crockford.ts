import type { Bytes } from './bytes.ts';

// Base 32 by Douglas Crockford (crockford.com/base32.html): letters that look like digits are read as those.

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const VALUES: ReadonlyMap<string, number> = new Map([
  ...[...ALPHABET].flatMap((c, i): [string, number][] => [
    [c, i],
    [c.toLowerCase(), i],
  ]),
  ...[...'Oo'].map((c): [string, number] => [c, 0]),
  ...[...'IiLl'].map((c): [string, number] => [c, 1]),
]);

/** The text of bytes whose bits are a multiple of five. */
export function toCrockford(bytes: Bytes): string {
  let out = '';
  let word = 0;
  let bits = 0;
  for (const byte of bytes) {
    word = ((word << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; ) {
      bits -= 5;
      out += ALPHABET.charAt((word >> bits) & 31);
    }
  }
  return out;
}

/** The bytes of a text, or undefined: a character that is none, or bits that are left over. */
export function parseCrockford(text: string): Bytes | undefined {
  if ((text.length * 5) % 8 !== 0) return undefined;
  const out = new Uint8Array((text.length * 5) / 8);
  let word = 0;
  let bits = 0;
  let at = 0;
  for (const c of text) {
    const value = VALUES.get(c);
    if (value === undefined) return undefined;
    word = ((word << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (word >> bits) & 255;
    }
  }
  return out;
}
