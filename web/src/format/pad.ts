import { FormatError } from './errors.ts';

// Padmé lengths (docs/format.md §3). All of it is arithmetic on doubles below 2^53, where sums, products by powers of
// two and `ceil` are exact; bit operations would cut numbers at 2^32.

/** The least padded length. */
export const MIN_PADDED = 1024;

/** The greatest length that can be padded. */
export const MAX_LENGTH = Number.MAX_SAFE_INTEGER;

/** floor(log2 n) for an integer n from 1 below 2^53; Math.log2 rounds and would be wrong beside powers of two. */
function log2(n: number): number {
  const high = Math.floor(n / 2 ** 32);
  return high > 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(n);
}

function isLength(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

/** The padded length of n bytes, n below 2^53 (`length` if it is not, or if no padded length below 2^53 holds it). */
export function paddedLength(n: number): number {
  if (!isLength(n)) throw new FormatError('length', 'a plaintext has between 0 and 2^53-1 bytes');
  if (n <= MIN_PADDED) return MIN_PADDED;
  const e = log2(n);
  const unit = 2 ** (e - (log2(e) + 1));
  const padded = Math.ceil(n / unit) * unit;
  if (padded > MAX_LENGTH) throw new FormatError('length', 'padded, the plaintext would have 2^53 bytes');
  return padded;
}

/** Whether n is the padded length of some plaintext. */
export function isPaddedLength(n: number): boolean {
  return isLength(n) && n >= MIN_PADDED && paddedLength(n) === n;
}
