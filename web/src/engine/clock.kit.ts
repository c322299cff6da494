// The two ways in which tests with fake timers wait: for timers alone, or for everything else.
import { vi } from 'vitest';

/** The test's clock goes on, and with it all that waits for nothing else. */
export const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** The real ones, under fake timers, too. */
const turn = setImmediate;
const now = performance.now.bind(performance);
const LONGEST_MS = 25_000;

/** Lets everything go on that waits for no timer, until something is so. */
export async function until(so: () => boolean): Promise<void> {
  for (const start = now(); !so(); await new Promise((resolve) => turn(resolve))) {
    if (now() - start > LONGEST_MS) throw new Error('waited in vain');
  }
}

/** Lets the clock and everything else go on together, for so many seconds of the clock at most. */
export async function both(seconds: number, so: () => boolean): Promise<void> {
  for (let s = 0; s < seconds && !so(); s++) {
    await pass(1000);
    await new Promise((resolve) => turn(resolve));
  }
}
