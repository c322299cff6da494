import { type Bytes, equal } from './bytes.ts';
import { FormatError } from './errors.ts';
import type { FolderId } from './id.ts';
import { sortedHeads } from './journal-checkpoint.ts';
import { compareBytes, type Entry, type Head, parseEntry } from './journal-entry.ts';
import { Alarm } from './journal-keys.ts';
import { keyOf, type State } from './journal-state.ts';
import { array, b16, b32, decode, encode, integer, map, refine, required, tuple } from './shape.ts';

// Pins: the heads that a device saw last, by which a server that serves yesterday's state, or two devices two states,
// is found (docs/format.md §26).

const MAX_PINS = 2 ** 20;
const MAX_PIN_BYTES = 64 * 1024 * 1024;

const row = tuple<[FolderId, number, Bytes]>(b16<'folder'>(), integer(1, Number.MAX_SAFE_INTEGER), b32);
const pinsShape = map({
  heads: required(
    1,
    refine(array(row, 0, MAX_PINS), (rows) =>
      rows.every(([folder], i) => i === 0 || compareBytes(rows[i - 1]?.[0] ?? folder, folder) < 0)
        ? undefined
        : 'pins out of order',
    ),
  ),
});

/** Checks that the head can be one of the journal which had the head `pin`. Seq 0 says that there is no journal. */
export function checkAgainst(pin: Head, { seq, hash }: Head): void {
  if (seq === 0) throw new Alarm(pin.folder, 'missing', 0, `entry ${pin.seq} was seen`);
  if (seq < pin.seq) throw new Alarm(pin.folder, 'rollback', seq, `entry ${pin.seq} was seen`);
  if (seq === pin.seq && !equal(hash, pin.hash)) throw new Alarm(pin.folder, 'fork', seq, 'another entry was seen');
}

export class Pins {
  readonly #heads = new Map<string, Head>();

  get(folder: FolderId): Head | undefined {
    return this.#heads.get(keyOf(folder));
  }

  /** Pins a head that was verified; it does not go back. */
  set(head: Head): void {
    this.check(head);
    this.#heads.set(keyOf(head.folder), head);
  }

  /** Drops the pin of a folder that ended. */
  forget(folder: FolderId): void {
    this.#heads.delete(keyOf(folder));
  }

  /** Holds a head that is claimed, or was verified, against the pin. */
  check(head: Head): void {
    const pin = this.get(head.folder);
    if (pin !== undefined) checkAgainst(pin, head);
  }

  encode(): Bytes {
    const heads = [...this.#heads.values()].sort((a, b) => compareBytes(a.folder, b.folder));
    const rows = heads.map(({ folder, seq, hash }): [FolderId, number, Bytes] => [folder, seq, hash]);
    return encode(pinsShape, { heads: rows }, MAX_PIN_BYTES);
  }

  static decode(data: Bytes): Pins {
    const pins = new Pins();
    for (const [folder, seq, hash] of decode(pinsShape, data, MAX_PIN_BYTES).heads) pins.set({ folder, seq, hash });
    return pins;
  }
}

/**
 * Checks that the entries between a pin and a later verified head lead from the one to the other, for a state that
 * starts beyond what was seen. Their signatures need no check: the hashes end in a head that is verified.
 */
export async function checkBridge(pin: Head, entries: readonly Bytes[], head: Head): Promise<void> {
  const { folder } = pin;
  checkAgainst(pin, head);
  let at = pin;
  for (const raw of entries) {
    const { outer, hash } = await between(folder, at, raw);
    if (!equal(outer.folder, folder)) throw new Alarm(folder, 'foreign', outer.seq, 'of another folder');
    if (outer.seq !== at.seq + 1) throw new Alarm(folder, 'gap', outer.seq, `entry ${at.seq} is before it`);
    if (!equal(outer.previous, at.hash)) throw new Alarm(folder, 'fork', outer.seq, 'it follows another entry');
    at = { folder, seq: outer.seq, hash };
  }
  if (at.seq !== head.seq) throw new Alarm(folder, 'gap', head.seq, `the entries end at ${at.seq}`);
  if (!equal(at.hash, head.hash)) throw new Alarm(folder, 'fork', head.seq, 'they lead elsewhere');
}

async function between(folder: FolderId, at: Head, raw: Bytes): Promise<Entry> {
  try {
    return await parseEntry(raw);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new Alarm(folder, 'encoding', at.seq + 1, 'no entry', cause);
  }
}

/** Holds what a server claims of folders against heads, for a device that saw none of them before; gives every alarm. */
export function checkHeads(heads: State, claimed: (folder: FolderId) => Head): Alarm[] {
  const alarms: Alarm[] = [];
  for (const known of sortedHeads(heads)) {
    try {
      checkAgainst(known, claimed(known.folder));
    } catch (error) {
      if (!(error instanceof Alarm)) throw error;
      alarms.push(error);
    }
  }
  return alarms;
}
