// Speed and time left, smoothed over the last seconds.

const WINDOW_MS = 5000;

export class Rate {
  readonly #marks: { at: number; bytes: number }[] = [];

  /** Notes a running total and returns bytes a second over the window. */
  mark(bytes: number, now: number): number {
    this.#marks.push({ at: now, bytes });
    while (this.#marks.length > 2 && now - (this.#marks[0]?.at ?? now) > WINDOW_MS) this.#marks.shift();
    const first = this.#marks[0];
    if (!first || now - first.at < 100) return 0;
    return Math.max(0, ((bytes - first.bytes) * 1000) / (now - first.at));
  }
}

export function secondsLeft(done: number, total: number, rate: number): number | null {
  if (done >= total) return 0;
  return rate > 0 ? (total - done) / rate : null;
}
