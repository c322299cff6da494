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
