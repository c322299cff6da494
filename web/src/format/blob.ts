import { type Bytes, concat, equal } from './bytes.ts';
import { FormatError } from './errors.ts';
import { NAME_SIZE, type Name } from './id.ts';
import { PIECE_SIZE } from './stream.ts';

// Blobs (docs/format.md §5): names, roots, and how a stream is cut.

/** The greatest size of a blob: one piece of a stream. */
export const MAX_BLOB = PIECE_SIZE;
/** Streams of up to so many bytes may share a blob, a pack. */
export const MAX_PACKED = 1024 * 1024;
/** The most extents that a revision has. */
export const MAX_EXTENTS = 2 ** 20;

/** BLAKE3, ready: it answers at once, so that one serves everybody in a thread. */
export interface Blake3 {
  hash(data: Uint8Array): Name;
}

let loading: Promise<Blake3> | undefined;

async function load(): Promise<Blake3> {
  const { default: hashWasm } = await import('hash-wasm/dist/blake3.umd.min.js');
  const hasher = await hashWasm.createBLAKE3();
  return { hash: (data) => new Uint8Array(hasher.init().update(data).digest('binary')) };
}

/**
 * Fetches and compiles BLAKE3, once in each thread and not before it is wanted. The page's policy must allow
 * WebAssembly ('wasm-unsafe-eval'). A fetch that failed is tried again at the next call.
 */
export function loadBlake3(): Promise<Blake3> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined;
    throw cause;
  });
  return loading;
}

/** Refuses data that is not the blob of that name (`name`). */
export function checkName(blake3: Blake3, data: Uint8Array, name: Name): void {
  if (!equal(blake3.hash(data), name)) throw new FormatError('name', 'the bytes are not those of the blob asked for');
}

/** Collects the hashes of a stream's pieces, in any order, for its root. */
export class RootHasher {
  readonly #blake3: Blake3;
  readonly #names: Bytes;
  readonly #have: Uint8Array;

  constructor(blake3: Blake3, pieces: number) {
    if (!(pieces >= 1 && pieces <= MAX_EXTENTS)) {
      throw new FormatError('length', `a stream of ${pieces} pieces, at most ${MAX_EXTENTS} allowed`);
    }
    this.#blake3 = blake3;
    this.#names = new Uint8Array(pieces * NAME_SIZE);
    this.#have = new Uint8Array(pieces);
  }

  set(index: number, name: Name): void {
    if (!(index in this.#have) || name.length !== NAME_SIZE) throw new RangeError(`piece ${index}`);
    this.#names.set(name, index * NAME_SIZE);
    this.#have[index] = 1;
  }

  /** The root; it is an error to ask before all pieces are there. */
  root(): Bytes {
    if (this.#have.includes(0)) throw new RangeError(`piece ${this.#have.indexOf(0)} is missing`);
    return this.#blake3.hash(this.#names);
  }
}

/** The root over the names of all pieces. */
export function rootOf(blake3: Blake3, names: readonly Name[]): Bytes {
  return blake3.hash(concat(...names));
}

/** Refuses a stream of another root than the descriptor's (`root`). */
export function checkRoot(have: Bytes, want: Bytes): void {
  if (!equal(have, want)) throw new FormatError('root', 'the stream is not the one that was sent');
}

/** The pieces of a whole stream, as views. */
export function* pieces(stream: Bytes): Generator<Bytes> {
  for (let at = 0; at < stream.length; at += PIECE_SIZE) yield stream.subarray(at, at + PIECE_SIZE);
}

/** The lengths of the blobs that a stream is cut into when it has its blobs for itself. */
export function cuts(length: number): number[] {
  const count = Math.ceil(length / MAX_BLOB);
  if (!(count >= 1 && count <= MAX_EXTENTS)) throw new FormatError('length', `a stream of ${length} bytes`);
  return Array.from({ length: count }, (_, i) => Math.min(MAX_BLOB, length - i * MAX_BLOB));
}
