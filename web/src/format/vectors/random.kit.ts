import type { Bytes } from '../bytes.ts';
import { FormatError, type FormatErrorCode } from '../errors.ts';

/** Numbers that look random and are the same in every run, so that a failure can be found again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to and without n. */
  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * n);
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.below(values.length)] ?? values[0];
  }

  bytes(n: number): Bytes {
    return new Uint8Array(n).map(() => this.below(256));
  }
}

/** A copy of bytes with one bit changed. */
export function flip(bytes: Bytes, at: number, bit = 0): Bytes {
  const out = bytes.slice();
  out[at] = (out[at] ?? 0) ^ (1 << bit);
  return out;
}

/** The code that an action fails with; undefined if it does not. Other errors pass. */
export async function failure(action: () => unknown): Promise<FormatErrorCode | undefined> {
  try {
    await action();
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
  return undefined;
}
