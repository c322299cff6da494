import type { PlacedRevision } from '../api/types.gen.ts';
import { type Blake3, checkRoot, MAX_PACKED, RootHasher } from '../format/blob.ts';
import { type Bytes, concat, equal } from '../format/bytes.ts';
import { FormatError } from '../format/errors.ts';
import { fromText, type Name } from '../format/id.ts';
import { Opener, parseHeader, type StreamHead, withoutPadding } from '../format/seal.ts';
import {
  HEADER_SIZE,
  PIECE_SIZE,
  pieceCount,
  SEGMENT_SIZE,
  segmentAt,
  segmentsIn,
  streamLengthOf,
} from '../format/stream.ts';
import { free } from './memory.ts';
import type { DownloadFile } from './messages.ts';
import type { Extent } from './regions.ts';

// One file on its way in: every check of docs/format.md §4 in its order. Plaintext is given out segment by segment as
// each is verified; root and padding are known at the end only, and fail the whole then.

function field(text: string, size: number): Bytes {
  const bytes = fromText(text);
  if (bytes?.length !== size) throw new FormatError('id', 'a revision record with a field of the wrong length');
  return bytes;
}

/** Bytes of a stream as they came, and their name where that was compared already: nothing is hashed twice. */
export interface Arrived {
  readonly bytes: Bytes;
  readonly name: Name | undefined;
}

export async function* openFile(
  file: Omit<DownloadFile, 'name' | 'mtime'>,
  revision: PlacedRevision,
  pieces: AsyncIterable<Arrived>,
  blake3: Blake3,
): AsyncGenerator<Bytes> {
  const length = streamLengthOf(file.size);
  if (revision.length !== length) throw new FormatError('length', 'a stream of another length than the file’s');
  const head = { salt: field(revision.salt, 32), prefix: field(revision.prefix, 7) };
  const opener = await Opener.create(
    { key: file.key, releaseKey: field(revision.releaseKey, 32), fileId: file.fileId, revisionId: file.revisionId },
    head,
    file.commitment,
    length,
  );
  const root = new RootHasher(blake3, pieceCount(length));
  let index = 0;
  // The last part is held back until the root is known: whoever counts bytes never sees a whole file that was refused.
  let held: Bytes | undefined;
  for await (const { bytes, name } of pieces) {
    if (index === 0) checkHead(bytes, head);
    root.set(index, name ?? blake3.hash(bytes));
    for await (const plain of openPiece(opener, bytes, index, length, file.size)) {
      if (held) yield held;
      held = plain;
    }
    free(bytes);
    index++;
  }
  checkRoot(root.root(), file.root);
  if (held) yield held;
}

/** The stream's own header says the version, and the salt and prefix that stand in the record as well. */
function checkHead(stream: Bytes, { salt, prefix }: StreamHead): void {
  const head = parseHeader(stream);
  if (!equal(head.salt, salt) || !equal(head.prefix, prefix))
    throw new FormatError('commitment', 'a stream that begins otherwise than its record says');
}

/** Segments that are opened at once: while the browser takes one, the next ones are at work in other threads. */
const AHEAD = 8;

async function* openPiece(
  opener: Opener,
  piece: Bytes,
  index: number,
  length: number,
  trueSize: number,
): AsyncGenerator<Bytes> {
  const first = (index * PIECE_SIZE) / SEGMENT_SIZE;
  const body = index === 0 ? piece.subarray(HEADER_SIZE) : piece;
  const open = async (ciphertext: Bytes, segment: number): Promise<Bytes> =>
    withoutPadding(await opener.openSegment(ciphertext, segment), segmentAt(segment, length).plainFrom, trueSize);
  const opening: Promise<Bytes>[] = [];
  for (const { index: segment, ciphertext } of segmentsIn(body, first)) {
    const plain = open(ciphertext, segment);
    plain.catch(() => {}); // met when its turn comes, if it does
    opening.push(plain);
    if (opening.length >= AHEAD) yield* some(opening.shift());
  }
  for (const plain of opening) yield* some(plain);
}

/** Nothing of a segment that is all padding. */
async function* some(plain: Promise<Bytes> | undefined): AsyncGenerator<Bytes> {
  const bytes = await plain;
  if (bytes && bytes.length > 0) yield bytes;
}

/** Whether this stream lies in a pack: then it has one extent, else one for each piece. */
export function checkShape(extents: readonly Extent[], length: number): void {
  const pieces = pieceCount(length);
  const fits = length <= MAX_PACKED ? extents.length === 1 : extents.length === pieces;
  const aligned = extents.every(([, , size], i) => size === Math.min(PIECE_SIZE, length - i * PIECE_SIZE));
  if (!fits || !aligned) throw new FormatError('length', 'extents that are not the pieces of a stream');
}

/** A stream that fits in memory, opened whole: a bundle's listing. */
export async function collect(parts: AsyncIterable<Bytes>): Promise<Bytes> {
  const all: Bytes[] = [];
  for await (const part of parts) all.push(part);
  return concat(...all);
}
