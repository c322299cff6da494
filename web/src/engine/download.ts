import type { PlacedRevision, Places } from '../api/types.gen.ts';
import { type Blake3, loadBlake3 } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { FormatError } from '../format/errors.ts';
import { toText } from '../format/id.ts';
import { pieceCount, streamLengthOf } from '../format/stream.ts';
import { call } from './calls.ts';
import { Reader, TicketExpired } from './fetching.ts';
import { checkShape, openFile } from './incoming.ts';
import type { DownloadFile, DownloadJob } from './messages.ts';
import { checkExtents, checkPlaces, covering, type Extent, merge, type Region } from './regions.ts';
import { EngineError } from './types.ts';

// What the service worker does for one download: fetch, check, decrypt, in pull.

/** Extents asked for at a time; their tickets live five minutes. */
const EXTENTS = 64;
/** Revisions asked for at a time. */
const REVISIONS = 500;
/** Tickets are renewed when less than this is left. */
const RENEW_S = 60;

interface Located {
  readonly revision: PlacedRevision;
  readonly places: Places;
  readonly regions: readonly Region[];
}

export class Download {
  readonly #job: DownloadJob;
  readonly #abort = new AbortController();
  readonly #reader: Reader;
  readonly #blake3: Blake3;
  #located = new Map<string, Located>();
  #region: { key: string; bytes: Promise<Bytes> } | undefined;
  #next: { key: string; bytes: Promise<Bytes> } | undefined;

  private constructor(job: DownloadJob, blake3: Blake3, onFailover: () => void) {
    this.#job = job;
    this.#blake3 = blake3;
    this.#reader = new Reader(blake3, this.#abort.signal, onFailover);
  }

  static async create(job: DownloadJob, onFailover: () => void): Promise<Download> {
    return new Download(job, await loadBlake3(), onFailover);
  }

  cancel(): void {
    this.#abort.abort();
  }

  /** A file's plaintext, segment by segment. Throws on the first check that fails, and at the end if root or padding do not hold. */
  async *open(file: DownloadFile): AsyncGenerator<Bytes> {
    const located = await this.#locate(file);
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

  /** A large revision's extents, some at a time, with fresh tickets. */
  async #more(revision: PlacedRevision, from: number): Promise<{ places: Places; extents: readonly Extent[] }> {
    const { handle, session } = this.#job;
    const request = { session, revision: revision.id, from, count: EXTENTS };
    const page = await call('getExtents', request, { path: { handle }, signal: this.#abort.signal });
    checkPlaces(page);
    if (page.extents.length === 0) throw new FormatError('length', 'the server has fewer extents than it said');
    return { places: page, extents: page.extents };
  }

  async *#pieces(file: DownloadFile, located: Located): AsyncGenerator<Bytes> {
    const { revision } = located;
    const length = streamLengthOf(file.size);
    if (revision.extentCount === 1) {
      checkExtents(revision.extents, located.places.blobs, length);
      checkShape(revision.extents, length);
      yield await this.#packed(located, revision.extents[0] as Extent, file);
      return;
    }
    if (revision.extentCount !== pieceCount(length))
      throw new FormatError('length', 'extents that are not the pieces of a stream');
    yield* this.#cut(revision, length);
  }

  /** One extent, mostly of a pack: its region is kept for the neighbours that follow. */
  async #packed({ places, regions }: Located, extent: Extent, file: DownloadFile): Promise<Bytes> {
    const region = covering(regions, extent);
    const key = `${places.blobs[region.blob]?.name}:${region.from}:${region.to}`;
    if (this.#region?.key !== key) this.#region = { key, bytes: this.#reader.read(places, region) };
    try {
      const bytes = await this.#region.bytes;
      return bytes.slice(extent[1] - region.from, extent[1] - region.from + extent[2]);
    } catch (error) {
      this.#region = undefined;
      if (!(error instanceof TicketExpired)) throw error;
      this.#located.clear();
      const again = await this.#locate(file);
      const [same] = again.revision.extents;
      if (!same) throw new FormatError('length', 'a revision without extents');
      return (await this.#reader.read(again.places, { blob: same[0], from: same[1], to: same[1] + same[2] })).slice();
    }
  }

  /** The pieces of a large stream; the next one is fetched while this one is opened. */
  async *#cut(revision: PlacedRevision, length: number): AsyncGenerator<Bytes> {
    let sum = 0;
    let page = await this.#more(revision, 0);
    let base = 0;
    for (let n = 0; n < revision.extentCount; n++) {
      if (n - base >= page.extents.length || !fresh(page.places)) {
        page = await this.#more(revision, n);
        base = n;
      }
      const extent = page.extents[n - base] as Extent;
      checkExtents([extent], page.places.blobs, extent[2]);
      sum += extent[2];
      const current = this.#take(page.places, extent);
      const following = page.extents[n - base + 1];
      if (following) this.#prefetch(page.places, following);
      try {
        yield await current;
      } catch (error) {
        if (!(error instanceof TicketExpired)) throw error;
        page = await this.#more(revision, n);
        base = n;
        yield await this.#take(page.places, page.extents[0] as Extent);
      }
    }
    if (sum !== length) throw new FormatError('length', 'extents that do not add up');
  }

  #keyOf(places: Places, [blob, offset, size]: Extent): string {
    return `${places.blobs[blob]?.name}:${offset}:${size}`;
  }

  #take(places: Places, extent: Extent): Promise<Bytes> {
    const ahead = this.#next;
    this.#next = undefined;
    if (ahead?.key === this.#keyOf(places, extent)) return ahead.bytes;
    return this.#reader.read(places, { blob: extent[0], from: extent[1], to: extent[1] + extent[2] });
  }

  #prefetch(places: Places, extent: Extent): void {
    const bytes = this.#reader.read(places, { blob: extent[0], from: extent[1], to: extent[1] + extent[2] });
    bytes.catch(() => {}); // met again when its turn comes
    this.#next = { key: this.#keyOf(places, extent), bytes };
  }
}

function fresh(places: Places): boolean {
  const soon = Date.now() / 1000 + RENEW_S;
  return places.tickets.every((t) => t.expires > soon);
}

/** Errors of a download as people are told them. */
export function asEngineError(error: unknown): unknown {
  return error instanceof TicketExpired ? new EngineError('nodes-away') : error;
}
