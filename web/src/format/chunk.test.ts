import { describe, expect, test } from 'vitest';
import { loadBlake3 } from './blob.ts';
import { CHUNK_SIZE, fromBytes, leftSize, parentValue, subtreeValue } from './chunk.ts';
import { pattern, toHex } from './vectors/case.kit.ts';
import { flip, Random } from './vectors/random.kit.ts';
import { toBytes } from './vectors/slice.kit.ts';

const blake3 = await loadBlake3();
const random = new Random(25);

describe('the left child of a subtree', () => {
  test.each([
    [1025, 1024, 1024],
    [2048, 1024, 1024],
    [2049, 1024, 2048],
    [4096, 1024, 2048],
    [4097, 1024, 4096],
    [16 * 1024 + 1, 16 * 1024, 16 * 1024],
    [8 * 1024 * 1024, 16 * 1024, 4 * 1024 * 1024],
  ])('of %d bytes in units of %d covers %d', (n, unit, left) => {
    expect(leftSize(n, unit)).toBe(left);
  });

  test('covers the largest power of two of units that leaves something to the right', () => {
    for (let i = 0; i < 2000; i++) {
      const n = CHUNK_SIZE + 1 + random.below(2 ** 23);
      const left = leftSize(n, CHUNK_SIZE);
      expect(Number.isInteger(Math.log2(left / CHUNK_SIZE))).toBe(true);
      expect(left < n && 2 * left >= n).toBe(true);
    }
  });
});

describe('a chaining value', () => {
  test('of all is the BLAKE3 hash, for any length', () => {
    for (let i = 0; i < 60; i++) {
      const data = random.bytes(random.below(5000));
      expect(toHex(toBytes(subtreeValue(data, 0, true)))).toBe(toHex(blake3.hash(data)));
    }
  });

  test('of a parent comes from those of its children, wherever it stands', () => {
    for (const [size, chunk] of [
      [2048, 0],
      [3000, 4],
      [5000, 8],
      [16384, 16],
    ] as const) {
      const data = pattern(size);
      const left = leftSize(size, CHUNK_SIZE);
      for (const root of [true, false]) {
        const [a, b] = [
          subtreeValue(data.subarray(0, left), chunk, false),
          subtreeValue(data.subarray(left), chunk + left / CHUNK_SIZE, false),
        ];
        expect(subtreeValue(data, chunk, root)).toEqual(parentValue(a, b, root));
        expect(subtreeValue(data, chunk, root)).not.toEqual(parentValue(b, a, root));
        expect(subtreeValue(data, chunk, root)).not.toEqual(parentValue(a, b, !root));
      }
    }
  });

  test.each([0, 1, 64, 65, 1024, 1025, 4096])('of %d bytes tells place, root and every bit', (size) => {
    const data = pattern(size);
    const value = subtreeValue(data, 4, false);
    expect(subtreeValue(data, 8, false)).not.toEqual(value);
    expect(subtreeValue(data, 4, true)).not.toEqual(value);
    expect(subtreeValue(pattern(size + 1), 4, false)).not.toEqual(value);
    for (let at = 0; at < size; at += 1 + (size >> 4)) {
      expect(subtreeValue(flip(data, at, at % 8), 4, false), `byte ${at}`).not.toEqual(value);
    }
    // A shorter end is no run of zeros.
    expect(subtreeValue(new Uint8Array(size), 4, false)).not.toEqual(subtreeValue(new Uint8Array(size + 1), 4, false));
  });

  test('is not changed by those computed after it', () => {
    const first = subtreeValue(pattern(3000), 0, true);
    const kept = toHex(toBytes(first));
    const parent = parentValue(first, first, false);
    subtreeValue(pattern(5000), 0, true);
    parentValue(parent, first, true);
    expect(toHex(toBytes(first))).toBe(kept);
    expect(parentValue(first, first, false)).toEqual(parent);
  });

  test('comes back from its bytes, wherever they lie', () => {
    for (let i = 0; i < 20; i++) {
      const bytes = random.bytes(32);
      expect(toBytes(fromBytes(bytes))).toEqual(bytes);
      const larger = new Uint8Array(35 + i);
      larger.set(bytes, 3 + (i % 3));
      expect(fromBytes(larger.subarray(3 + (i % 3), 35 + (i % 3)))).toEqual(fromBytes(bytes));
    }
  });
});
