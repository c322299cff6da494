import { EngineError, type ProgressNote } from './types.ts';

// How long a download goes on trying what may work again by itself: a network that changes, a device that is offline, a
// server or nodes that restart.

/** How long one step is tried in vain, in milliseconds. */
const PATIENCE_MS = 180_000;
/** What one try counts at most: in a try, a laptop may have slept. */
const TRY_MS = 45_000;
/** Waits are 1, 2, 4 … 15 seconds. */
const LONGEST_WAIT_S = 15;

/** All nodes answered, and none has the bytes: asking again brings the same. */
export class Gone extends EngineError {
  constructor(detail: string) {
    super('nodes-away', detail);
  }
}

/** Whether an error may pass by itself. */
function passing(error: unknown): error is EngineError {
  if (!(error instanceof EngineError) || error instanceof Gone) return false;
  return error.code === 'unreachable' || error.code === 'nodes-away' || error.code === 'rate-limited';
}

export class Patience {
  readonly #signal: AbortSignal;
  readonly #note: (note: ProgressNote | undefined) => void;

  /** note is told each second until the next try, and nothing once it worked. */
  constructor(signal: AbortSignal, note: (note: ProgressNote | undefined) => void) {
    this.#signal = signal;
    this.#note = note;
  }

  /** Runs a step until it works, fails for good, or has failed for three minutes. */
  async run<T>(step: (again: boolean) => Promise<T>): Promise<T> {
    let spent = 0;
    for (let round = 0; ; round++) {
      const begun = performance.now();
      try {
        const result = await step(round > 0);
        if (round > 0) this.#note(undefined);
        return result;
      } catch (error) {
        spent += Math.min(TRY_MS, performance.now() - begun);
        if (this.#signal.aborted) throw new EngineError('cancelled');
        if (!passing(error) || spent >= PATIENCE_MS) throw error;
        const seconds = Math.max(error.retryAfter ?? 0, Math.min(LONGEST_WAIT_S, 2 ** round));
        spent += await this.#wait(seconds, PATIENCE_MS - spent);
      }
    }
  }

  /** Waits so many seconds; while the device is offline longer, and not a moment once it is online. Returns milliseconds. */
  async #wait(seconds: number, most: number): Promise<number> {
    let waited = 0;
    for (let left = seconds; (left > 0 || !navigator.onLine) && waited < most; left--) {
      const offline = !navigator.onLine;
      this.#note(offline ? { kind: 'offline' } : { kind: 'retrying', seconds: left });
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (this.#signal.aborted) throw new EngineError('cancelled');
      waited += 1000;
      if (offline && navigator.onLine) break;
    }
    return waited;
  }
}
