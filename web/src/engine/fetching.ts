import { type PlacedBlob, type Places, VERSION } from '../api/types.gen.ts';
import { openSlice, sliceLength } from '../format/bao.ts';
import { type Blake3, checkName } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { FormatError } from '../format/errors.ts';
import { parseName } from '../format/id.ts';
import { free } from './memory.ts';
import type { Region } from './regions.ts';
import { EngineError } from './types.ts';

// Reading from nodes: the first good copy wins, a bad or slow node is left in mid-file.

/** Without a first byte for so long the next copy is tried, as long as there is one that was not. */
const FIRST_BYTE_MS = 1500;
/** The patience of the second round, when all copies were slow. */
const PATIENT_MS = 15_000;
/** Between two pieces of a body. */
const STALL_MS = 4000;

export class Reader {
  readonly #blake3: Blake3;
  readonly #signal: AbortSignal;
  /** Nodes that failed in this download: they are asked last. */
  readonly #bad = new Map<string, number>();
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
  async read(places: Places, region: Region): Promise<Bytes> {
    const blob = places.blobs[region.blob] as PlacedBlob;
    const faults: unknown[] = [];
    for (const patience of [FIRST_BYTE_MS, PATIENT_MS]) {
      for (const node of this.#inOrder(places, blob)) {
        try {
          return await this.#from(node.url, places, blob, region, patience);
        } catch (error) {
          if (this.#signal.aborted) throw new EngineError('cancelled');
          faults.push(error);
          this.#bad.set(node.id, (this.#bad.get(node.id) ?? 0) + 1);
          this.#onFailover();
        }
      }
      // One node that refuses tickets must not keep the others from the patient round.
      if (faults.every((f) => f instanceof TicketExpired)) throw new TicketExpired();
    }
    if (faults.some((f) => f instanceof TicketExpired)) throw new TicketExpired();
    throw new EngineError(faults.some((f) => f instanceof FormatError) ? 'integrity' : 'nodes-away', blob.name);
  }

  #inOrder(places: Places, blob: PlacedBlob): { id: string; url: string }[] {
    const faults = (id: string): number => this.#bad.get(id) ?? 0;
    return blob.nodes.flatMap((n) => places.nodes[n] ?? []).sort((a, b) => faults(a.id) - faults(b.id));
  }

  async #from(url: string, places: Places, blob: PlacedBlob, region: Region, patience: number): Promise<Bytes> {
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
    const bytes = await this.#get(`${this.#baseOf(url)}/blobs/${blob.name}?${query}`, expected, patience);
    if (!whole) return openSlice(bytes, request);
    checkName(this.#blake3, bytes, request.name);
    return bytes;
  }

  /** Exactly `expected` bytes: an answer of another length is damage, and is not read to its end. */
  async #get(url: string, expected: number, patience: number): Promise<Bytes> {
    const stalled = new AbortController();
    let timer = setTimeout(() => stalled.abort(), patience);
    try {
      const response = await fetch(url, {
        signal: AbortSignal.any([this.#signal, stalled.signal]),
        cache: 'no-store',
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
      });
      if (response.status === 403) throw new TicketExpired();
      if (response.status !== 200 || !response.body) throw new EngineError('nodes-away', `HTTP ${response.status}`);
      const bytes = new Uint8Array(expected);
      let at = 0;
      const reader = response.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(() => stalled.abort(), STALL_MS);
        if (at + part.value.length > expected) {
          await reader.cancel();
          throw new FormatError('length', 'a node sent more than was asked for');
        }
        bytes.set(part.value, at);
        at += part.value.length;
        free(part.value);
      }
      if (at !== expected) throw new FormatError('length', 'a node sent less than was asked for');
      return bytes;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The ticket is no longer taken: the caller gets a fresh one from the server, which also knows whether the link still lives. */
export class TicketExpired extends Error {
  override readonly name = 'TicketExpired';
}
