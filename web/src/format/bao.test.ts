import { describe, expect, test } from 'vitest';
import { GROUP_SIZE, openSlice, type SliceRequest, sliceLength } from './bao.ts';
import { loadBlake3, MAX_BLOB } from './blob.ts';
import { pattern } from './vectors/case.kit.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { extractSlice } from './vectors/slice.kit.ts';

const blake3 = await loadBlake3();
const blob = pattern(100_001);
const name = blake3.hash(blob);

function request(offset: number, length: number): SliceRequest {
  return { size: blob.length, name, offset, length };
}

describe('a slice', () => {
  test('gives the range, at every border of groups', () => {
    for (const size of [1, 1024, GROUP_SIZE, GROUP_SIZE + 1, 3 * GROUP_SIZE, 5 * GROUP_SIZE + 7]) {
      const data = blob.subarray(0, size);
      const known = { size, name: blake3.hash(data) };
      for (const offset of [0, 1, GROUP_SIZE - 1, GROUP_SIZE, GROUP_SIZE + 1, size - 1]) {
        for (const length of [1, GROUP_SIZE, size - offset]) {
          if (offset < 0 || offset + length > size || length < 1) continue;
          const slice = extractSlice(data, offset, length);
          expect(sliceLength({ ...known, offset, length })).toBe(slice.length);
          const range = openSlice(slice, { ...known, offset, length });
          expect(Buffer.compare(range, data.subarray(offset, offset + length))).toBe(0);
        }
      }
    }
  });

  test('gives any range', () => {
    const random = new Random(11);
    for (let i = 0; i < 100; i++) {
      const offset = random.below(blob.length);
      const length = 1 + random.below(blob.length - offset);
      const range = openSlice(extractSlice(blob, offset, length), request(offset, length));
      expect(Buffer.compare(range, blob.subarray(offset, offset + length))).toBe(0);
    }
  });

  test('may lie anywhere in a larger buffer', () => {
    const slice = extractSlice(blob, 30_000, 5000);
    const buffer = new Uint8Array(slice.length + 3);
    buffer.set(slice, 3);
    expect(openSlice(buffer.subarray(3), request(30_000, 5000))).toEqual(blob.slice(30_000, 35_000));
  });
});

// Row 25 of the threats: a node that answers with anything but the blob is found out.
describe('a slice is refused', () => {
  const slice = extractSlice(blob, 40_000, 20_000);
  const asked = request(40_000, 20_000);

  test('with a bit changed anywhere', async () => {
    for (let at = 0; at < slice.length; at += at < 600 ? 1 : 997) {
      expect(await failure(() => openSlice(flip(slice, at, at % 8), asked)), `byte ${at}`).toBe('slice');
    }
  });

  test('when short or with bytes left over', async () => {
    expect(await failure(() => openSlice(slice.slice(0, -1), asked))).toBe('slice');
    expect(await failure(() => openSlice(slice.slice(0, 8), asked))).toBe('slice');
    expect(await failure(() => openSlice(new Uint8Array(0), asked))).toBe('slice');
    expect(await failure(() => openSlice(new Uint8Array([...slice, 0]), asked))).toBe('slice');
  });

  test('about another range of the same length', async () => {
    expect(await failure(() => openSlice(extractSlice(blob, 60_000, 20_000), asked))).toBe('slice');
  });

  test('about another blob', async () => {
    const other = flip(blob, 50_000);
    expect(await failure(() => openSlice(extractSlice(other, 40_000, 20_000), asked))).toBe('slice');
    expect(await failure(() => openSlice(slice, { ...asked, name: blake3.hash(other) }))).toBe('slice');
  });

  test('about a blob of another size', async () => {
    expect(await failure(() => openSlice(slice, { ...asked, size: blob.length + 1 }))).toBe('slice');
    expect(await failure(() => openSlice(slice, { ...asked, size: blob.length - 1 }))).toBe('slice');
  });

  test('whose subtrees are exchanged', async () => {
    const even = pattern(2 * GROUP_SIZE);
    const whole = extractSlice(even, 0, even.length);
    const swapped = whole.slice();
    swapped.set(whole.subarray(40, 72), 8);
    swapped.set(whole.subarray(8, 40), 40);
    swapped.set(whole.subarray(72 + GROUP_SIZE), 72);
    swapped.set(whole.subarray(72, 72 + GROUP_SIZE), 72 + GROUP_SIZE);
    const known = { size: even.length, name: blake3.hash(even), offset: 0, length: even.length };
    expect(await failure(() => openSlice(whole, known))).toBeUndefined();
    expect(await failure(() => openSlice(swapped, known))).toBe('slice');
  });
});

describe('a request is refused', () => {
  test.each([
    ['an empty range', 10, 0, 0],
    ['a range before the blob', 10, -1, 2],
    ['a range beyond the blob', 10, 5, 6],
    ['a range after the blob', 10, 10, 1],
    ['half a byte', 10, 0.5, 1],
    ['a byte and a half', 10, 0, 1.5],
    ['a blob of ten bytes and a half', 10.5, 0, 1],
    ['a range in a blob before its first byte', -1, 0, 1],
    ['a length that is none', 10, 0, Number.NaN],
    ['an empty blob', 0, 0, 1],
    ['a blob larger than any', MAX_BLOB + 1, 0, 1],
    ['a size that is none', Number.NaN, 0, 1],
  ])('for %s', async (_, size, offset, length) => {
    expect(await failure(() => openSlice(new Uint8Array(100), { size, name, offset, length }))).toBe('slice');
    expect(await failure(() => sliceLength({ size, name, offset, length }))).toBe('slice');
  });
});
