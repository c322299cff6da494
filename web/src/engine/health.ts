// Which nodes failed of late, for all blobs of an upload: as the Go client does it (client/blobs/health.go).

/** How long a node that failed is left in peace; it doubles with every failure in a row, up to LAST_REST_MS. */
const FIRST_REST_MS = 2000;
const LAST_REST_MS = 60_000;
/** For nodes that say that they take no more. */
const FULL_REST_MS = 5 * 60_000;
const FULL: ReadonlySet<string> = new Set(['read-only', 'node-io']);

interface Condition {
  readonly failures: number;
  readonly until: number;
}

/** Times are those of a clock that is never set, in milliseconds. */
export class Health {
  readonly #nodes = new Map<string, Condition>();

  rests(node: string, now: number): boolean {
    return now < (this.#nodes.get(node)?.until ?? Number.NEGATIVE_INFINITY);
  }

  good(node: string): void {
    this.#nodes.delete(node);
  }

  /** The code is what the node said, or what became of the request. */
  failed(node: string, code: string, now: number): void {
    const failures = this.#nodes.get(node)?.failures ?? 0;
    if (FULL.has(code)) {
      this.#nodes.set(node, { failures: failures + 1, until: now + FULL_REST_MS });
      return;
    }
    if (this.rests(node, now)) return; // one fault seen by several blobs at once counts once
    const rest = Math.min(FIRST_REST_MS * 2 ** failures, LAST_REST_MS);
    this.#nodes.set(node, { failures: failures + 1, until: now + rest });
  }
}
