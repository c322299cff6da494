import type { Blake3 } from '../format/blob.ts';
import { RootHasher } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import type { Content } from '../format/descriptor.ts';
import { type FileId, newId, newKey, type RevisionId } from '../format/id.ts';
import { type ContentKeys, Sealer } from '../format/seal.ts';
import { PIECE_SIZE, pieceCount, SEGMENT_SIZE, segmentAt, streamLengthOf } from '../format/stream.ts';
import { fill, type Misfit } from './filling.ts';
import { EngineError } from './types.ts';

// One file on its way out: its keys, and its pieces sealed one by one.

/** Segments sealed at once: enough to keep WebCrypto's threads busy, few enough to stay small. */
const AT_ONCE = 4;

/** Bytes of a source, read anew at each call. */
export interface Source {
  readonly size: number;
  /** Fills `into` with the bytes from `from` on; it is moved, and the answer is where it is now. An error where there are fewer. */
  read(from: number, into: Bytes): Promise<Bytes>;
}

export function fileSource(file: File, path: string): Source {
  return {
    size: file.size,
    async read(from, into) {
      let bytes: Bytes | Misfit;
      try {
        bytes = await fill(file.slice(from, from + into.length).stream(), into);
      } catch {
        throw new EngineError('file-unreadable', path);
      }
      if (typeof bytes === 'string') throw new EngineError('file-changed', path);
      return bytes;
    },
  };
}

export function bytesSource(bytes: Bytes): Source {
  return {
    size: bytes.length,
    read(from, into) {
      into.set(bytes.subarray(from, from + into.length));
      return Promise.resolve(into);
    },
  };
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

  /**
   * Seals a piece into `out`, which has just its length; it is moved, and the answer is where it is now. The plaintext is
   * read to its end and sealed in place: sealed segments are longer, so that each lies before the plaintext that is still
   * to be sealed.
   */
  async sealPiece(piece: number, out: Bytes, free: Free): Promise<Bytes> {
    const start = piece * PIECE_SIZE;
    const first = start / SEGMENT_SIZE;
    const end = Math.ceil((start + out.length) / SEGMENT_SIZE);
    const from = segmentAt(first, this.length).plainFrom;
    const size = segmentAt(end - 1, this.length).plainTo - from;
    const body = await this.#read(from, out, out.length - size);
    const plain = body.subarray(body.length - size);
    const seal = async (index: number): Promise<void> => {
      const { last, from: to, plainFrom, plainTo } = segmentAt(index, this.length);
      const sealed = await this.#sealer.sealSegment(plain.subarray(plainFrom - from, plainTo - from), index, last);
      body.set(sealed, to - start);
      free(sealed);
    };
    // WebCrypto takes its copy of the plaintext at once: that of a whole group before any of it is overwritten.
    for (let at = first; at < end; at += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, end - at) }, (_, i) => seal(at + i)));
    }
    if (piece === 0) body.set(this.#sealer.header, 0);
    return body;
  }

  /** Reads padded plaintext into `out` from `at` to its end: the file's bytes, then zeros. */
  async #read(from: number, out: Bytes, at: number): Promise<Bytes> {
    const { byteOffset, length } = out;
    const there = Math.min(Math.max(this.#source.size - from, 0), length - at);
    out.fill(0, at + there);
    if (there === 0) return out;
    const { buffer } = await this.#source.read(from, out.subarray(at, at + there));
    return new Uint8Array(buffer, byteOffset, length);
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
