import { describe, expect, it } from 'vitest';
import { bytes, count, country, list, timeLeft } from './words.ts';

describe('words', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [999_500, '1 MB'],
    [1_234_567, '1.2 MB'],
    [123_456_789, '123 MB'],
    [5_368_709_120, '5.4 GB'],
  ])('says %i bytes as %s', (n, said) => expect(bytes(n)).toBe(said));

  it.each([
    [null, ''],
    [Number.POSITIVE_INFINITY, ''],
    [2, 'a few seconds left'],
    [11, '15 s left'],
    [61, '2 min left'],
    [3700, '1 h 2 min left'],
  ])('says %s seconds as "%s"', (n, said) => expect(timeLeft(n)).toBe(said));

  it('names countries and joins them', () => {
    expect(list([country('DE'), country('NZ')])).toBe('Germany and New Zealand');
    expect(country('not a code')).toBe('not a code');
    expect(count(1, 'file', 'files')).toBe('1 file');
    expect(count(2000, 'file', 'files')).toBe('2,000 files');
  });
});
