import { describe, expect, it } from 'vitest';
import { Rate, secondsLeft } from './meter.ts';

describe('rate', () => {
  it('is over the last seconds only', () => {
    const rate = new Rate();
    expect(rate.mark(0, 0)).toBe(0);
    expect(rate.mark(1000, 1000)).toBe(1000);
    for (let s = 2; s <= 20; s++) rate.mark(1000 + (s - 1) * 10, s * 1000);
    expect(rate.mark(1210, 21_000)).toBeLessThan(30);
  });
  it('says how long it takes', () => {
    expect(secondsLeft(50, 100, 10)).toBe(5);
    expect(secondsLeft(50, 100, 0)).toBeNull();
    expect(secondsLeft(100, 100, 0)).toBe(0);
  });
});
