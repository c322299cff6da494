import { describe, expect, test } from 'vitest';
import { isPaddedLength, MAX_LENGTH, paddedLength } from './pad.ts';
import { failure, Random } from './vectors/random.kit.ts';

/** The formula of docs/format.md §3, in arithmetic without limits. */
function padme(n: bigint): bigint {
  const e = BigInt(n.toString(2).length - 1);
  const s = BigInt(e.toString(2).length);
  const mask = (1n << (e - s)) - 1n;
  return (n + mask) & ~mask;
}

function expected(n: number): bigint {
  return padme(BigInt(Math.max(n, 1024)));
}

describe('padded lengths', () => {
  test.each([
    [0, 1024],
    [1024, 1024],
    [1025, 1088],
    [2 ** 32 - 1, 2 ** 32],
    [2 ** 32 + 1, 2 ** 32 + 2 ** 26],
    [9_000_000_000_000, 9_070_970_929_152],
  ])('of %d is %d', (n, padded) => {
    expect(paddedLength(n)).toBe(padded);
    expect(BigInt(padded)).toBe(expected(n));
  });

  test('follow the formula beside every power of two', () => {
    for (let bit = 0; bit < 52; bit++) {
      for (let near = -3; near <= 3; near++) {
        const n = Math.max(0, 2 ** bit + near);
        expect(BigInt(paddedLength(n))).toBe(expected(n));
      }
    }
  });

  test.each([1024, 2 ** 16, 2 ** 31, 2 ** 32, 2 ** 33, 2 ** 51])('do not shrink as sizes grow, around %d', (middle) => {
    let before = 0;
    for (let n = middle - 100; n < middle + 100; n++) {
      const padded = paddedLength(n);
      expect(padded).toBeGreaterThanOrEqual(Math.max(before, n));
      expect(isPaddedLength(n)).toBe(n >= 1024 && BigInt(n) === expected(n));
      before = padded;
    }
  });

  test('end below 2^53: the last that is one, and the first size beyond it', async () => {
    const last = 2 ** 53 - 2 ** 46;
    expect(paddedLength(last)).toBe(last);
    expect(isPaddedLength(last)).toBe(true);
    expect(paddedLength(last - 1)).toBe(last);
    expect(paddedLength(last - 2 ** 46 + 1)).toBe(last);
    expect(expected(last + 1)).toBe(2n ** 53n);
    expect(await failure(() => paddedLength(last + 1))).toBe('length');
  });

  test('are the same whatever is left of them: padding twice changes nothing', () => {
    const random = new Random(8);
    for (let i = 0; i < 1000; i++) {
      const padded = paddedLength(random.below(2 ** (1 + random.below(52))));
      expect(paddedLength(padded)).toBe(padded);
      if (padded > 1024) expect(isPaddedLength(padded - 1)).toBe(false);
    }
  });

  test('tell few sizes apart: 16 or 32 between two powers of two', () => {
    for (const bit of [10, 15, 16, 20]) {
      const from = 2 ** bit;
      const seen = new Set<number>();
      for (let n = from + 1; n <= 2 * from; n++) seen.add(paddedLength(n));
      expect(seen.size).toBe(2 ** (32 - Math.clz32(bit)));
    }
  });

  test('follow the formula everywhere, hold what they pad, and are padded lengths', () => {
    const random = new Random(2);
    for (let i = 0; i < 4000; i++) {
      const n = random.below(2 ** (1 + random.below(52)));
      const padded = paddedLength(n);
      expect(BigInt(padded)).toBe(expected(n));
      expect(padded >= n && isPaddedLength(padded)).toBe(true);
      if (padded > 1024) expect(padded / n).toBeLessThan(1.12);
    }
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY, MAX_LENGTH])('are refused for %d', async (n) => {
    expect(await failure(() => paddedLength(n))).toBe('length');
  });

  test.each([0, 1023, 1025, 1024.5, 2 ** 53, Number.NaN])('are not %d', (n) => {
    expect(isPaddedLength(n)).toBe(false);
  });
});
