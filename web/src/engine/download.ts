import type { PlacedRevision, Places } from '../api/types.gen.ts';
import { type Blake3, loadBlake3 } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { FormatError } from '../format/errors.ts';
import { toText } from '../format/id.ts';
import { pieceCount, streamLengthOf } from '../format/stream.ts';
import { call } from './calls.ts';
import { Reader, TicketExpired } from './fetching.ts';
import { type Arrived, checkShape, openFile } from './incoming.ts';
import type { DownloadFile, DownloadJob } from './messages.ts';
import { Patience } from './patience.ts';
import { checkExtents, checkPlaces, covering, type Extent, merge, type Region } from './regions.ts';
import { EngineError, type ProgressNote } from './types.ts';

// What the service worker does for one download: fetch, check, decrypt, in pull.

/** Extents asked for at a time; their tickets live five minutes. */
const EXTENTS = 64;
/** Revisions asked for at a time. */
const REVISIONS = 500;
/** Tickets are renewed when less than this is left. */
const RENEW_S = 60;

/** So fast, in bytes a second, a line must be for two blobs to share it: the second one must not keep the first waiting. */
const FAST = 2 << 20;

interface Located {
  readonly revision: PlacedRevision;
  readonly places: Places;
  readonly regions: readonly Region[];
}

/** A piece of a large stream, and the one that follows, where that is known already. */
interface Piece {
  readonly places: Places;
  readonly extent: Extent;
  readonly following: Extent | undefined;
}

export class Download {
  readonly #job: DownloadJob;
  readonly #abort = new AbortController();
  readonly #reader: Reader;
  readonly #patience: Patience;
  readonly #blake3: Blake3;
  #located = new Map<string, Located>();
  #region: { key: string; arrived: Promise<Arrived> } | undefined;
  #next: { key: string; arrived: Promise<Arrived> } | undefined;
  #fast = false;

  private constructor(
    job: DownloadJob,
    blake3: Blake3,
    onFailover: () => void,
    onNote: (note: ProgressNote | undefined) => void,
  ) {
    this.#job = job;
    this.#blake3 = blake3;
    this.#reader = new Reader(blake3, this.#abort.signal, onFailover);
    this.#patience = new Patience(this.#abort.signal, onNote);
  }

  /** onNote hears of waits until the next try; see Patience. */
  static async create(
    job: DownloadJob,
    onFailover: () => void,
    onNote: (note: ProgressNote | undefined) => void = () => {},
  ): Promise<Download> {
    return new Download(job, await loadBlake3(), onFailover, onNote);
  }

  cancel(): void {
    this.#abort.abort();
  }

  /** Asks the server for what the first file needs: it may refuse, and so at once. */
  async begin(): Promise<void> {
    const [first] = this.#job.files;
    if (first) await this.#patience.run(() => this.#locate(first));
  }

  /** A file's plaintext, segment by segment. Throws on the first check that fails, and at the end if root or padding do not hold. */
  async *open(file: DownloadFile): AsyncGenerator<Bytes> {
    const located = await this.#patience.run(() => this.#locate(file));
    yield* openFile(file, located.revision, this.#pieces(file, located), this.#blake3);
  }

  async #locate(file: DownloadFile): Promise<Located> {
    const id = toText(file.revisionId);
    const known = this.#located.get(id);
    if (known && fresh(known.places)) return known;
    const index = this.#job.files.indexOf(file);
    // All files of a ZIP are asked for in runs, so that neighbours in a pack are read together.
    const wanted = this.#job.files.slice(index, index + REVISIONS).map((f) => toText(f.revisionId));
    const path = { handle: this.#job.handle };
    const { session } = this.#job;
    this.#located.clear();
    const page = await call('getRevisions', { session, revisions: wanted }, { path, signal: this.#abort.signal });
    checkPlaces(page);
    const regions = merge(page.revisions.flatMap((r) => r.extents));
    for (const revision of page.revisions) this.#located.set(revision.id, { revision, places: page, regions });
    const found = this.#located.get(id);
    if (!found) throw new FormatError('id', 'the server does not know this revision');
    return found;
  }

  async #relocate(file: DownloadFile): Promise<Located> {
    this.#located.clear();
    return this.#locate(file);
  }

  async *#pieces(file: DownloadFile, located: Located): AsyncGenerator<Arrived> {
    const { revision } = located;
    const length = streamLengthOf(file.size);
    if (revision.extentCount === 1) {
      yield await this.#packed(located, file, length);
      return;
    }
    if (revision.extentCount !== pieceCount(length))
      throw new FormatError('length', 'extents that are not the pieces of a stream');
    yield* this.#cut(revision, length);
  }

  /** A file of one extent, mostly within a pack. */
  #packed(located: Located, file: DownloadFile, length: number): Promise<Arrived> {
    return this.#patience.run(async (again) => {
      try {
        return await this.#shared(again ? await this.#relocate(file) : located, length);
      } catch (error) {
        if (!(error instanceof TicketExpired)) throw error;
        return this.#shared(await this.#relocate(file), length);
      }
    });
  }

  /** The one extent of a revision; its region is kept for the neighbours that follow. */
  async #shared({ places, regions, revision }: Located, length: number): Promise<Arrived> {
    checkExtents(revision.extents, places.blobs, length);
    checkShape(revision.extents, length);
    const extent = revision.extents[0] as Extent;
    const region = covering(regions, extent);
    const key = `${places.blobs[region.blob]?.name}:${region.from}:${region.to}`;
    if (this.#region?.key !== key) this.#region = { key, arrived: this.#reader.read(places, region) };
    try {
      const { bytes } = await this.#region.arrived;
      const from = extent[1] - region.from;
      return { bytes: bytes.slice(from, from + extent[2]), name: undefined };
    } catch (error) {
      this.#region = undefined;
      throw error;
    }
  }

  /** The pieces of a large stream; the next one is fetched while this one is opened. */
  async *#cut(revision: PlacedRevision, length: number): AsyncGenerator<Arrived> {
    const pieces = new Pieces((from) => this.#more(revision, from));
    let sum = 0;
    for (let n = 0; n < revision.extentCount; n++) {
      const arrived = await this.#patience.run((again) => this.#piece(pieces, n, again));
      sum += arrived.bytes.length;
      yield arrived;
    }
    if (sum !== length) throw new FormatError('length', 'extents that do not add up');
  }

  /** A large revision's extents, some at a time, with fresh tickets. */
  async #more(revision: PlacedRevision, from: number): Promise<{ places: Places; extents: readonly Extent[] }> {
    const { handle, session } = this.#job;
    const request = { session, revision: revision.id, from, count: EXTENTS };
    const page = await call('getExtents', request, { path: { handle }, signal: this.#abort.signal });
    checkPlaces(page);
    if (page.extents.length === 0) throw new FormatError('length', 'the server has fewer extents than it said');
    return { places: page, extents: page.extents };
  }

  async #piece(pieces: Pieces, n: number, again: boolean): Promise<Arrived> {
    let piece = await pieces.at(n, again);
    try {
      const reading = this.#take(piece);
      if (this.#fast) this.#prefetch(piece);
      const arrived = await reading;
      this.#prefetch(piece);
      return arrived;
    } catch (error) {
      if (!(error instanceof TicketExpired)) throw error;
      piece = await pieces.at(n, true);
      return this.#take(piece);
    }
  }

  #take({ places, extent }: Piece): Promise<Arrived> {
    const ahead = this.#next;
    this.#next = undefined;
    return ahead?.key === keyOf(places, extent) ? ahead.arrived : this.#read(places, extent);
  }

  #prefetch({ places, following }: Piece): void {
    if (!following || this.#next) return;
    const arrived = this.#read(places, following);
    arrived.catch(() => {}); // met again when its turn comes
    this.#next = { key: keyOf(places, following), arrived };
  }

  async #read(places: Places, [blob, from, size]: Extent): Promise<Arrived> {
    const begun = performance.now();
    const arrived = await this.#reader.read(places, { blob, from, to: from + size });
    this.#fast = (size * 1000) / Math.max(1, performance.now() - begun) >= FAST;
    return arrived;
  }
}

/** The extents of a large revision in order, asked for as they are needed. */
class Pieces {
  readonly #more: (from: number) => Promise<{ places: Places; extents: readonly Extent[] }>;
  #page: { places: Places; extents: readonly Extent[] } | undefined;
  #base = 0;

  constructor(more: (from: number) => Promise<{ places: Places; extents: readonly Extent[] }>) {
    this.#more = more;
  }

  /** With again, places and tickets are asked for anew. */
  async at(n: number, again: boolean): Promise<Piece> {
    let page = this.#page;
    if (again || !page || n - this.#base >= page.extents.length || !fresh(page.places)) {
      page = await this.#more(n);
      this.#page = page;
      this.#base = n;
    }
    const extent = page.extents[n - this.#base] as Extent;
    checkExtents([extent], page.places.blobs, extent[2]);
    return { places: page.places, extent, following: page.extents[n - this.#base + 1] };
  }
}

function keyOf(places: Places, [blob, offset, size]: Extent): string {
  return `${places.blobs[blob]?.name}:${offset}:${size}`;
}

function fresh(places: Places): boolean {
  const soon = Date.now() / 1000 + RENEW_S;
  return places.tickets.every((t) => t.expires > soon);
}

/** Errors of a download as people are told them. */
export function asEngineError(error: unknown): unknown {
  return error instanceof TicketExpired ? new EngineError('nodes-away') : error;
}
