import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fromText, keyId, newId, newKey, parseId, parseName, toText } from './id.ts';
import { failure, Random } from './vectors/random.kit.ts';

describe('text of bytes', () => {
  test('is base64url without padding, and comes back, for every length', () => {
    const random = new Random(1);
    for (let n = 0; n < 70; n++) {
      const bytes = random.bytes(n);
      const text = toText(bytes);
      expect(text).toBe(Buffer.from(bytes).toString('base64url'));
      expect(fromText(text)).toEqual(bytes);
    }
  });

  test.each([
    ['a length that no bytes have', 'A'],
    ['trailing bits after one byte', 'AB'],
    ['trailing bits after two bytes', 'AAB'],
    ['padding', 'AA=='],
    ['the standard alphabet', '+/AA'],
    ['white space', 'AA A'],
    ['a line feed at the end', 'AAAA\n'],
    ['a letter outside ASCII', 'AAäA'],
    ['an astral character', 'AA😀'],
  ])('refuses %s', (_, text) => {
    expect(fromText(text)).toBeUndefined();
  });
});

describe('ids', () => {
  test('have 22 characters, names 43', async () => {
    expect(parseId('A'.repeat(22))).toEqual(new Uint8Array(16));
    expect(parseName('A'.repeat(43))).toEqual(new Uint8Array(32));
    for (const n of [0, 21, 23, 43]) expect(await failure(() => parseId('A'.repeat(n)))).toBe('id');
    for (const n of [0, 22, 42, 44]) expect(await failure(() => parseName('A'.repeat(n)))).toBe('id');
  });

  test('are drawn anew each time', () => {
    expect(newId()).toHaveLength(16);
    expect(newKey()).toHaveLength(32);
    expect(newId()).not.toEqual(newId());
  });

  test('of keys want a key', async () => {
    for (const n of [0, 31, 33, 64]) await expect(keyId(new Uint8Array(n))).rejects.toThrow(RangeError);
  });
});

describe('any text', () => {
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const ODD: [string, ...string[]] = ['=', ...'+/ \n\r\t.,~%é', '\0', '\u2028', '😀', '\uff21'];

  test('is bytes exactly where another implementation writes those bytes so', () => {
    const random = new Random(27);
    let taken = 0;
    for (let i = 0; i < 6000; i++) {
      const letters = Array.from({ length: random.below(50) }, () => ALPHABET.charAt(random.below(64)));
      if (letters.length > 0 && random.below(4) === 0) letters[random.below(letters.length)] = random.pick(ODD);
      const text = letters.join('');
      const lenient = Buffer.from(text, 'base64url'); // which skips what it does not know
      const bytes = fromText(text);
      expect(bytes !== undefined, JSON.stringify(text)).toBe(lenient.toString('base64url') === text);
      if (bytes === undefined) continue;
      expect(Buffer.compare(bytes, lenient)).toBe(0);
      taken++;
    }
    expect(taken).toBeGreaterThan(1000);
  });

  test('of an id ends in one of 4 letters, of a name in one of 16', async () => {
    const ends = async (parse: (text: string) => unknown, length: number) => {
      const codes = await Promise.all([...ALPHABET].map((end) => failure(() => parse('A'.repeat(length) + end))));
      expect(new Set(codes)).toEqual(new Set([undefined, 'id']));
      return [...ALPHABET].filter((_, i) => codes[i] === undefined).join('');
    };
    expect(await ends(parseId, 21)).toBe('AQgw');
    expect(await ends(parseName, 42)).toBe('AEIMQUYcgkosw048');
  });

  test('that is refused is not quoted', () => {
    const secret = 'S3cret'.repeat(8);
    expect(() => parseName(secret)).toThrow(/^(?!.*S3cret)/);
    expect(() => parseId(secret)).toThrow(/^(?!.*S3cret)/);
  });
});

test('the id of a key is that of its label, a zero byte and the key', async () => {
  const key = new Random(28).bytes(32);
  const whole = createHash('sha256').update('holdfast/v1/key-id\0').update(key).digest();
  expect(Buffer.compare(await keyId(key), whole.subarray(0, 16))).toBe(0);
  expect(await keyId(key.with(31, (key[31] ?? 0) ^ 1) as typeof key)).not.toEqual(await keyId(key));
});
