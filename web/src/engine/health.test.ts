import { beforeEach, describe, expect, it } from 'vitest';
import { Health } from './health.ts';

// The same numbers as client/blobs/units_test.go has.

let health: Health;
beforeEach(() => {
  health = new Health();
});

/** How long a node rests from `now` on, to the millisecond. */
function restOf(node: string, now: number): number {
  let [low, high] = [0, 3_600_000];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (health.rests(node, now + middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

describe('a node', () => {
  it('that nobody knows does not rest, whatever the clock says', () => {
    for (const now of [0, 1, 1e12]) expect(health.rests('de', now)).toBe(false);
  });

  it('rests longer with every failure in a row, a minute at most', () => {
    let now = 5000;
    for (const seconds of [2, 4, 8, 16, 32, 60, 60]) {
      health.failed('de', 'unreachable', now);
      expect(restOf('de', now)).toBe(seconds * 1000);
      now += seconds * 1000;
    }
  });

  it('that fails for several blobs at once failed once', () => {
    health.failed('de', 'stalled', 0);
    health.failed('de', 'stalled', 1999);
    expect(restOf('de', 0)).toBe(2000);
    health.failed('de', 'stalled', 2000);
    expect(restOf('de', 2000)).toBe(4000);
  });

  it('that did well is as one that never failed', () => {
    health.failed('de', 'stalled', 0);
    health.failed('de', 'stalled', 2000);
    health.good('de');
    expect(health.rests('de', 2000)).toBe(false);
    health.failed('de', 'stalled', 2000);
    expect(restOf('de', 2000)).toBe(2000);
  });

  it.each(['read-only', 'node-io'])('that is %s rests for five minutes, though it rests already', (code) => {
    health.failed('de', 'stalled', 0);
    health.failed('de', code, 1000);
    expect(restOf('de', 1000)).toBe(300_000);
    health.failed('de', 'stalled', 2000);
    expect(restOf('de', 1000)).toBe(300_000);
  });

  it('rests alone', () => {
    health.failed('de', 'unreachable', 0);
    expect(health.rests('nz', 0)).toBe(false);
    health.good('nz');
    expect(health.rests('de', 0)).toBe(true);
  });
});
