import { describe, expect, test } from 'vitest';
import { checkName, checkRoot, cuts, loadBlake3, MAX_BLOB, MAX_EXTENTS, pieces, RootHasher, rootOf } from './blob.ts';
import { subtreeValue } from './chunk.ts';
import { pattern, toHex } from './vectors/case.kit.ts';
import { failure, flip } from './vectors/random.kit.ts';
import { toBytes } from './vectors/slice.kit.ts';

const blake3 = await loadBlake3();

describe('names', () => {
  test('are BLAKE3', () => {
    expect(toHex(blake3.hash(new Uint8Array(0)))).toBe(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    );
  });

  test('are the same by both of its implementations here, at every border of blocks, chunks and subtrees', () => {
    const edges = [
      0, 1, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 4096, 5000, 16384, 16385,
    ];
    for (const size of [...edges, 31744, 65537, 100_000]) {
      const data = pattern(size);
      expect(toHex(toBytes(subtreeValue(data, 0, true)))).toBe(toHex(blake3.hash(data)));
    }
  });

  test('tell other bytes', async () => {
    const data = pattern(5000);
    expect(await failure(() => checkName(blake3, data, blake3.hash(data)))).toBeUndefined();
    expect(await failure(() => checkName(blake3, flip(data, 4999), blake3.hash(data)))).toBe('name');
    expect(await failure(() => checkName(blake3, data.subarray(1), blake3.hash(data)))).toBe('name');
  });

  test('are hashed by one instance in each thread', async () => {
    expect(await loadBlake3()).toBe(blake3);
  });
});

describe('the root', () => {
  const names = [1, 2, 3].map((n) => blake3.hash(pattern(n)));

  test('does not depend on the order in which pieces are ready', () => {
    const hasher = new RootHasher(blake3, 3);
    for (const i of [2, 0, 1]) hasher.set(i, names[i] ?? new Uint8Array(0));
    expect(hasher.root()).toEqual(rootOf(blake3, names));
  });

  test('is not there before the last piece', () => {
    const hasher = new RootHasher(blake3, 3);
    hasher.set(0, names[0] ?? new Uint8Array(0));
    hasher.set(2, names[2] ?? new Uint8Array(0));
    expect(() => hasher.root()).toThrow('piece 1 is missing');
  });

  test('has no pieces beyond the last, nor names of other lengths', async () => {
    const hasher = new RootHasher(blake3, 1);
    expect(() => hasher.set(1, new Uint8Array(32))).toThrow(RangeError);
    expect(() => hasher.set(0, new Uint8Array(31))).toThrow(RangeError);
    for (const count of [0, MAX_EXTENTS + 1]) {
      expect(await failure(() => new RootHasher(blake3, count))).toBe('length');
    }
  });

  test('of another stream is refused', async () => {
    const root = rootOf(blake3, names);
    expect(await failure(() => checkRoot(root, root))).toBeUndefined();
    expect(await failure(() => checkRoot(root, rootOf(blake3, names.toReversed())))).toBe('root');
    expect(await failure(() => checkRoot(root, root.slice(0, 31)))).toBe('root');
  });
});

describe('cutting', () => {
  test.each([
    [1, [1]],
    [MAX_BLOB, [MAX_BLOB]],
    [MAX_BLOB + 1, [MAX_BLOB, 1]],
    [3 * MAX_BLOB - 1, [MAX_BLOB, MAX_BLOB, MAX_BLOB - 1]],
  ])('a stream of %d bytes', (length, expected) => {
    expect(cuts(length)).toEqual(expected);
    expect(Array.from(pieces(new Uint8Array(length)), (piece) => piece.length)).toEqual(expected);
  });

  test.each([0, -1, Number.NaN, MAX_EXTENTS * MAX_BLOB + 1, 2 ** 53])('no stream of %d bytes', async (length) => {
    expect(await failure(() => cuts(length))).toBe('length');
  });
});
