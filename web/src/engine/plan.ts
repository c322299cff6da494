import { MAX_BLOB, MAX_PACKED } from '../format/blob.ts';
import { PIECE_SIZE, pieceCount, streamLengthOf } from '../format/stream.ts';

// Which stream goes into which blob (docs/format.md §5), decided from sizes alone, before anything is read.

/** Part of a blob: a whole stream that shares it, or one piece of a larger stream. */
export interface Part {
  readonly stream: number;
  readonly piece: number;
  readonly length: number;
}

/** A blob to be made: its parts follow each other. */
export type BlobPlan = readonly Part[];

/**
 * Blobs for streams of these true sizes, in order. Streams of up to 1 MiB share blobs of up to 8 MiB; a larger one is
 * cut every 8 MiB and has its blobs for itself.
 */
export function planBlobs(trueSizes: readonly number[]): BlobPlan[] {
  const blobs: BlobPlan[] = [];
  let pack: Part[] = [];
  let packed = 0;
  const close = (): void => {
    if (pack.length > 0) blobs.push(pack);
    pack = [];
    packed = 0;
  };
  trueSizes.forEach((size, stream) => {
    const length = streamLengthOf(size);
    if (length <= MAX_PACKED) {
      if (packed + length > MAX_BLOB) close();
      pack.push({ stream, piece: 0, length });
      packed += length;
      return;
    }
    for (let piece = 0; piece < pieceCount(length); piece++) {
      blobs.push([{ stream, piece, length: Math.min(PIECE_SIZE, length - piece * PIECE_SIZE) }]);
    }
  });
  close();
  return blobs;
}

export function totalLength(trueSizes: readonly number[]): number {
  return trueSizes.reduce((sum, size) => sum + streamLengthOf(size), 0);
}
