import type { Bytes } from './bytes.ts';
import { FormatError } from './errors.ts';
import { isPaddedLength, paddedLength } from './pad.ts';

// The arithmetic of content streams (docs/format.md §4): where segments begin and end. Numbers run up to 2^53, so that
// nothing here uses bit operations.

/** Bytes before segment 0: 0x28, salt, nonce prefix. */
export const HEADER_SIZE = 40;
export const TAG_SIZE = 16;
/** What a segment fills in the stream, with its tag; segment 0 with the header before it. */
export const SEGMENT_SIZE = 256 * 1024;
/** Bytes of plaintext in segment 0, and in each of the others. */
export const FIRST_PLAIN = SEGMENT_SIZE - HEADER_SIZE - TAG_SIZE;
export const PLAIN = SEGMENT_SIZE - TAG_SIZE;
/** The pieces that root and blobs are made of: 32 segments. */
export const PIECE_SIZE = 8 * 1024 * 1024;

/** The most that a revision's 2^20 extents can hold: 8 TiB. The segments' counter reaches further. */
export const MAX_STREAM = 2 ** 20 * PIECE_SIZE;

/** The number of segments for a padded plaintext of p bytes. */
export function segmentCount(p: number): number {
  return p <= FIRST_PLAIN ? 1 : 1 + Math.ceil((p - FIRST_PLAIN) / PLAIN);
}

/** The length of the stream for a padded plaintext of p bytes; one beyond MAX_STREAM is refused (`length`). */
export function streamLength(p: number): number {
  const length = HEADER_SIZE + p + TAG_SIZE * segmentCount(p);
  if (!(length <= MAX_STREAM)) throw new FormatError('length', `the stream would have more than ${MAX_STREAM} bytes`);
  return length;
}

/** The length of the stream for a file of that true size. */
export function streamLengthOf(trueSize: number): number {
  return streamLength(paddedLength(trueSize));
}

/** The bytes of padded plaintext in a stream of that length, which is valid or refused (`length`). */
export function plainLength(length: number): number {
  const p = length - HEADER_SIZE - TAG_SIZE * Math.ceil(length / SEGMENT_SIZE);
  if (!isPaddedLength(p) || streamLength(p) !== length) {
    throw new FormatError('length', `no stream has ${length} bytes`);
  }
  return p;
}

/** The number of pieces of a stream of that length. */
export function pieceCount(length: number): number {
  return Math.ceil(length / PIECE_SIZE);
}

/** Where a segment lies: in the stream (without the header), and what of the padded plaintext it holds. */
export interface Segment {
  readonly index: number;
  readonly last: boolean;
  readonly from: number;
  readonly to: number;
  readonly plainFrom: number;
  readonly plainTo: number;
}

/** Segment `index` of a stream of that length, which is valid. */
export function segmentAt(index: number, length: number): Segment {
  const count = Math.ceil(length / SEGMENT_SIZE);
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new RangeError(`segment ${index} of a stream of ${count} segments`);
  }
  const from = index === 0 ? HEADER_SIZE : index * SEGMENT_SIZE;
  const to = Math.min((index + 1) * SEGMENT_SIZE, length);
  const plainFrom = index === 0 ? 0 : FIRST_PLAIN + (index - 1) * PLAIN;
  return { index, last: index === count - 1, from, to, plainFrom, plainTo: plainFrom + to - from - TAG_SIZE };
}

/** The segment that holds byte `position` of the padded plaintext. */
export function segmentOf(position: number): number {
  return position < FIRST_PLAIN ? 0 : 1 + Math.floor((position - FIRST_PLAIN) / PLAIN);
}

/** The segments, and the part of the stream, that hold a range of the padded plaintext. */
export interface Span {
  readonly first: number;
  readonly last: number;
  readonly from: number;
  readonly to: number;
}

/** The segments in `part`, which begins with segment `first` (0 without the header): each as a view, in order. */
export function* segmentsIn(part: Bytes, first: number): Generator<{ index: number; ciphertext: Bytes }> {
  let at = 0;
  for (let index = first; at < part.length; index++) {
    const end = at + (index === 0 ? SEGMENT_SIZE - HEADER_SIZE : SEGMENT_SIZE);
    yield { index, ciphertext: part.subarray(at, end) };
    at = end;
  }
}

/** What must be read of a stream of that length for `size` bytes (1 at least) of padded plaintext from `offset`. */
export function spanOf(offset: number, size: number, length: number): Span {
  const end = offset + size;
  if (offset < 0 || size < 1 || end > plainLength(length)) {
    throw new RangeError(`bytes ${offset} to ${end} of a stream of ${length} bytes`);
  }
  const first = segmentOf(offset);
  const last = segmentOf(end - 1);
  return { first, last, from: segmentAt(first, length).from, to: segmentAt(last, length).to };
}
