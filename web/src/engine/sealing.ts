import type { Blake3 } from '../format/blob.ts';
import { RootHasher } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import type { Content } from '../format/descriptor.ts';
import { type FileId, newId, newKey, type RevisionId } from '../format/id.ts';
import { type ContentKeys, Sealer } from '../format/seal.ts';
import { PIECE_SIZE, pieceCount, SEGMENT_SIZE, segmentAt, streamLengthOf } from '../format/stream.ts';
import { EngineError } from './types.ts';

// One file on its way out: its keys, and its pieces sealed one by one.

/** Segments sealed at once: enough to keep WebCrypto's threads busy, few enough to stay small. */
const AT_ONCE = 4;

/** Bytes of a source, read anew at each call. */
export interface Source {
  readonly size: number;
  /** Exactly the bytes from..to, or an error. */
  read(from: number, to: number): Promise<Bytes>;
}

export function fileSource(file: File, path: string): Source {
  return {
    size: file.size,
    async read(from, to) {
      let bytes: Bytes;
      try {
        bytes = new Uint8Array(await file.slice(from, to).arrayBuffer());
      } catch {
        throw new EngineError('file-unreadable', path);
      }
      if (bytes.length !== to - from) throw new EngineError('file-changed', path);
      return bytes;
    },
  };
}

export function bytesSource(bytes: Bytes): Source {
  return { size: bytes.length, read: (from, to) => Promise.resolve(bytes.slice(from, to)) };
}

/** Frees a buffer at once instead of at the next collection, where the browser gains by it (see memory.ts). */
export type Free = (bytes: Bytes) => void;

/** A revision being sealed. */
export class OutgoingStream {
  readonly length: number;
  readonly keys: ContentKeys;
  readonly #source: Source;
  readonly #sealer: Sealer;
  readonly #root: RootHasher;
  readonly #blake3: Blake3;

  private constructor(source: Source, keys: ContentKeys, sealer: Sealer, blake3: Blake3) {
    this.#source = source;
    this.keys = keys;
    this.#sealer = sealer;
    this.#blake3 = blake3;
    this.length = streamLengthOf(source.size);
    this.#root = new RootHasher(blake3, pieceCount(this.length));
  }

  static async create(source: Source, blake3: Blake3): Promise<OutgoingStream> {
    const keys: ContentKeys = {
      key: newKey(),
      releaseKey: newKey(),
      fileId: newId<'file'>() as FileId,
      revisionId: newId<'revision'>() as RevisionId,
    };
    return new OutgoingStream(source, keys, await Sealer.create(keys), blake3);
  }

  get head(): { salt: Bytes; prefix: Bytes } {
    return this.#sealer.head;
  }

  /** Seals a piece into `out`, which has just its length. */
  async sealPiece(piece: number, out: Bytes, free: Free): Promise<void> {
    const start = piece * PIECE_SIZE;
    const first = start / SEGMENT_SIZE;
    const end = Math.ceil((start + out.length) / SEGMENT_SIZE);
    if (piece === 0) out.set(this.#sealer.header, 0);
    for (let at = first; at < end; at += AT_ONCE) {
      await this.#sealGroup(at, Math.min(at + AT_ONCE, end), start, out, free);
    }
  }

  /** Reads once for a few segments, and seals them together. */
  async #sealGroup(first: number, end: number, start: number, out: Bytes, free: Free): Promise<void> {
    const from = segmentAt(first, this.length).plainFrom;
    const plain = await this.#padded(from, segmentAt(end - 1, this.length).plainTo);
    const seal = async (index: number): Promise<void> => {
      const segment = segmentAt(index, this.length);
      const part = plain.subarray(segment.plainFrom - from, segment.plainTo - from);
      const sealed = await this.#sealer.sealSegment(part, index, segment.last);
      out.set(sealed, segment.from - start);
      free(sealed);
    };
    await Promise.all(Array.from({ length: end - first }, (_, i) => seal(first + i)));
    free(plain);
  }

  /** A range of the padded plaintext: the file's bytes, then zeros. */
  async #padded(from: number, to: number): Promise<Bytes> {
    const size = this.#source.size;
    if (to <= size) return this.#source.read(from, to);
    const plain = new Uint8Array(to - from);
    if (from < size) plain.set(await this.#source.read(from, size));
    return plain;
  }

  /** Notes a piece's hash for the root. A stream in a pack has one piece, hashed apart from the pack. */
  note(piece: number, name: Bytes): void {
    this.#root.set(piece, name);
  }

  notePacked(bytes: Bytes): void {
    this.#root.set(0, this.#blake3.hash(bytes));
  }

  /** What the descriptor says of it; all pieces must have been noted. */
  content(): Content {
    return {
      fileId: this.keys.fileId,
      revisionId: this.keys.revisionId,
      key: this.keys.key,
      commitment: this.#sealer.commitment,
      root: this.#root.root(),
      trueSize: this.#source.size,
    };
  }
}
