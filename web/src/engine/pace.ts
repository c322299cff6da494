// How fast the answer of a node must come.

/** Without a first byte for so long the next copy is tried, as long as there is one that was not. */
export const FIRST_BYTE_MS = 1500;
/** The patience of the second round, when all copies were slow. */
export const PATIENT_MS = 15_000;
/** Between two pieces of a body. */
const STALL_MS = 4000;
/** How fast bytes come is looked at in windows of this length. */
const WINDOW_MS = 3000;
/** A node slower than this, in bytes a second, is left while there is a copy that was not tried; see crawl in client/blobs. */
const CRAWL = 32 * 1024;
/** So much faster another copy's node must have been of late for this one to be left. */
const SLOW_FACTOR = 8;
/** What comes slower than this, over ten windows, stands still: bytes that drip would hold a download for days. */
const DRIP = 256;
const DRIP_WINDOWS = 10;

/** Follows one answer. Times are milliseconds of any one clock. */
export class Pace {
  readonly #patience: number;
  readonly #floor: number;
  readonly #begun: number;
  #last: number;
  #bytes = 0;
  /** Bytes that had come at the end of each window. */
  #marks: number[] = [];

  /** floor is the least number of bytes a second; 0 asks only that bytes do not drip. */
  constructor(now: number, patience: number, floor: number) {
    this.#begun = now;
    this.#last = now;
    this.#patience = patience;
    this.#floor = floor;
  }

  came(bytes: number, now: number): void {
    this.#bytes += bytes;
    this.#last = now;
  }

  /** Bytes a second since the beginning. */
  rate(now: number): number {
    return (this.#bytes * 1000) / Math.max(1, now - this.#begun);
  }

  /** Whether the node is to be left; asked several times a second. */
  tooSlow(now: number): boolean {
    if (now - this.#last > (this.#bytes === 0 ? this.#patience : STALL_MS)) return true;
    if (this.#bytes === 0 || now - this.#begun < WINDOW_MS * (this.#marks.length + 1)) return false;
    this.#marks.push(this.#bytes);
    const since = (windows: number): number => this.#bytes - (this.#marks.at(-1 - windows) ?? 0);
    if (since(1) < (this.#floor * WINDOW_MS) / 1000) return true;
    return this.#marks.length >= DRIP_WINDOWS && since(DRIP_WINDOWS) < (DRIP * DRIP_WINDOWS * WINDOW_MS) / 1000;
  }
}

/** The floor for a node while other copies were not tried: from what their nodes gave of late, 0 or nothing where that is not known. */
export function floorBeside(others: readonly (number | undefined)[]): number {
  if (others.length === 0) return 0;
  return Math.max(...others.map((rate) => (rate === undefined ? CRAWL : rate / SLOW_FACTOR)));
}
