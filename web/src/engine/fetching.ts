import { type PlacedBlob, type Places, VERSION } from '../api/types.gen.ts';
import { openSlice, sliceLength } from '../format/bao.ts';
import { type Blake3, checkName } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { FormatError } from '../format/errors.ts';
import { parseName } from '../format/id.ts';
import { fill } from './filling.ts';
import type { Arrived } from './incoming.ts';
import { FIRST_BYTE_MS, floorBeside, PATIENT_MS, Pace } from './pace.ts';
import { Gone } from './patience.ts';
import type { Region } from './regions.ts';
import { EngineError } from './types.ts';

// Reading from nodes: the first good copy wins, a bad or slow node is left in mid-file.

/** How often a running answer is looked at. */
const LOOK_MS = 250;

export class Reader {
  readonly #blake3: Blake3;
  readonly #signal: AbortSignal;
  /** Nodes that failed in this download: they are asked last. */
  readonly #bad = new Map<string, number>();
  /** Bytes a second that nodes gave of late. */
  readonly #rates = new Map<string, number>();
  readonly #onFailover: () => void;
  readonly #baseOf: (url: string) => string;

  constructor(
    blake3: Blake3,
    signal: AbortSignal,
    onFailover: () => void,
    baseOf: (url: string) => string = (url) => url,
  ) {
    this.#blake3 = blake3;
    this.#signal = signal;
    this.#onFailover = onFailover;
    this.#baseOf = baseOf;
  }

  /** The bytes of a region, checked against the blob's name. */
  async read(places: Places, region: Region): Promise<Arrived> {
    const blob = places.blobs[region.blob] as PlacedBlob;
    const faults = new Map<string, unknown>();
    for (const patience of [FIRST_BYTE_MS, PATIENT_MS]) {
      const nodes = this.#inOrder(places, blob);
      for (const [index, node] of nodes.entries()) {
        // In the second round all were tried: what comes at all is good enough.
        const others = patience === FIRST_BYTE_MS ? nodes.slice(index + 1) : [];
        const pace = new Pace(performance.now(), patience, floorBeside(others.map((n) => this.#rates.get(n.id))));
        try {
          const arrived = await this.#from(node.url, places, blob, region, pace);
          this.#rates.set(node.id, pace.rate(performance.now()));
          return arrived;
        } catch (error) {
          if (this.#signal.aborted) throw new EngineError('cancelled');
          faults.set(node.id, error);
          if (isExpired(error)) continue; // no fault of the node
          this.#rates.set(node.id, pace.rate(performance.now()));
          this.#bad.set(node.id, (this.#bad.get(node.id) ?? 0) + 1);
          this.#onFailover();
        }
      }
      // One node that refuses tickets must not keep the others from the patient round.
      if (every(faults, isExpired)) throw new TicketExpired();
    }
    throw summary(faults, blob.name);
  }

  #inOrder(places: Places, blob: PlacedBlob): { id: string; url: string }[] {
    const faults = (id: string): number => this.#bad.get(id) ?? 0;
    return blob.nodes.flatMap((n) => places.nodes[n] ?? []).sort((a, b) => faults(a.id) - faults(b.id));
  }

  async #from(url: string, places: Places, blob: PlacedBlob, region: Region, pace: Pace): Promise<Arrived> {
    const whole = region.from === 0 && region.to === blob.size;
    const request = {
      size: blob.size,
      name: parseName(blob.name),
      offset: region.from,
      length: region.to - region.from,
    };
    const query = new URLSearchParams({
      v: VERSION,
      upload: blob.upload,
      ticket: places.tickets[blob.ticket]?.ticket ?? '',
    });
    if (!whole) {
      query.set('offset', String(request.offset));
      query.set('length', String(request.length));
    }
    const expected = whole ? blob.size : sliceLength(request);
    const bytes = await this.#get(`${this.#baseOf(url)}/blobs/${blob.name}?${query}`, expected, pace);
    if (!whole) return { bytes: openSlice(bytes, request), name: undefined };
    checkName(this.#blake3, bytes, request.name);
    return { bytes, name: request.name };
  }

  /** Exactly `expected` bytes: an answer of another length is damage, and is not read to its end. */
  async #get(url: string, expected: number, pace: Pace): Promise<Bytes> {
    const stalled = new AbortController();
    const timer = setInterval(() => {
      if (pace.tooSlow(performance.now())) stalled.abort();
    }, LOOK_MS);
    try {
      const response = await fetch(url, {
        signal: AbortSignal.any([this.#signal, stalled.signal]),
        cache: 'no-store',
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
      });
      if (response.status === 403) throw new TicketExpired();
      if (response.status === 404) throw new Gone('HTTP 404');
      if (response.status !== 200 || !response.body) throw new EngineError('nodes-away', `HTTP ${response.status}`);
      return await whole(response.body, expected, pace);
    } finally {
      clearInterval(timer);
    }
  }
}

/** Exactly so many bytes of a body, which is not read further. */
async function whole(body: ReadableStream<Bytes>, expected: number, pace: Pace): Promise<Bytes> {
  const bytes = await fill(body, new Uint8Array(expected), (count) => pace.came(count, performance.now()));
  if (bytes === 'long') throw new FormatError('length', 'a node sent more than was asked for');
  if (bytes === 'short') throw new FormatError('length', 'a node sent less than was asked for');
  return bytes;
}

const isExpired = (fault: unknown): boolean => fault instanceof TicketExpired;
const isDamage = (fault: unknown): boolean => fault instanceof FormatError;

function every(faults: ReadonlyMap<string, unknown>, is: (fault: unknown) => boolean): boolean {
  return [...faults.values()].every(is);
}

/** Why no copy could be read, from what each node did last. */
function summary(faults: ReadonlyMap<string, unknown>, name: string): Error {
  const all = [...faults.values()];
  if (all.some(isExpired)) return new TicketExpired();
  // Only what every node has answered for good is final: with one away, its copy may be a good one.
  if (!all.every((f) => isDamage(f) || f instanceof Gone)) return new EngineError('nodes-away', name);
  return all.some(isDamage) ? new EngineError('integrity', name) : new Gone(name);
}

/** The ticket is no longer taken: the caller gets a fresh one from the server, which also knows whether the link still lives. */
export class TicketExpired extends Error {
  override readonly name = 'TicketExpired';
}
