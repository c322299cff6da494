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
    await expect(keyId(new Uint8Array(31))).rejects.toThrow(RangeError);
  });
});
