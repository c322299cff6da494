import { MAX_BLOB } from './blob.ts';
import type { Bytes } from './bytes.ts';
import { CHUNK_SIZE, type ChainingValue, fromBytes, leftSize, parentValue, subtreeValue } from './chunk.ts';
import { FormatError } from './errors.ts';
import type { Name } from './id.ts';

// Range proofs (docs/format.md §5): slices in Bao's format with chunk groups of 16 KiB.

/** What a proof leaves whole: 16 BLAKE3 chunks. */
export const GROUP_SIZE = 16 * CHUNK_SIZE;
const SIZE_WORD = 8;
const PARENT_SIZE = 64;

/** What the reader knows of a blob, and the range that it asked for. */
export interface SliceRequest {
  readonly size: number;
  readonly name: Name;
  readonly offset: number;
  readonly length: number;
}

function refuse(message: string): never {
  throw new FormatError('slice', message);
}

function checkRequest({ size, offset, length }: SliceRequest): void {
  if (!(Number.isInteger(size) && size >= 1 && size <= MAX_BLOB)) refuse(`no blob has ${size} bytes`);
  if (
    !(Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 1 && offset + length <= size)
  ) {
    refuse(`${length} bytes from ${offset} do not lie in a blob of ${size}`);
  }
}

/** The length of the slice that answers a request: an answer of another length needs not be read to its end. */
export function sliceLength(request: SliceRequest): number {
  checkRequest(request);
  const { offset } = request;
  const end = offset + request.length;
  function walk(at: number, size: number): number {
    if (at >= end || at + size <= offset) return 0;
    if (size <= GROUP_SIZE) return size;
    const left = leftSize(size, GROUP_SIZE);
    return PARENT_SIZE + walk(at, left) + walk(at + left, size - left);
  }
  return SIZE_WORD + walk(0, request.size);
}

function same(a: ChainingValue, b: ChainingValue): boolean {
  return a.every((word, i) => word === b[i]);
}

/** The bytes of the range, if the slice proves that they stand there in the blob of that name. */
export function openSlice(slice: Bytes, request: SliceRequest): Bytes {
  const expected = sliceLength(request);
  if (slice.length !== expected) refuse(`${slice.length} bytes where the proof has ${expected}`);
  const word = new DataView(slice.buffer, slice.byteOffset, SIZE_WORD).getBigUint64(0, true);
  if (word !== BigInt(request.size)) refuse('a proof about a blob of another size');

  const { offset, length } = request;
  const out = new Uint8Array(length);
  let read = SIZE_WORD;
  function take(n: number): Bytes {
    read += n;
    return slice.subarray(read - n, read); // the length was compared: no part is short
  }
  function group(at: number, size: number, value: ChainingValue, root: boolean): void {
    const data = take(size);
    if (!same(subtreeValue(data, at / CHUNK_SIZE, root), value)) refuse(`the bytes from ${at} on are not the blob's`);
    const from = Math.max(offset, at);
    out.set(data.subarray(from - at, offset + length - at), from - offset);
  }
  function walk(at: number, size: number, value: ChainingValue, root: boolean): void {
    if (at >= offset + length || at + size <= offset) return;
    if (size <= GROUP_SIZE) {
      group(at, size, value, root);
      return;
    }
    const left = fromBytes(take(PARENT_SIZE / 2));
    const right = fromBytes(take(PARENT_SIZE / 2));
    if (!same(parentValue(left, right, root), value)) refuse(`the tree over the bytes from ${at} on is not the blob's`);
    const half = leftSize(size, GROUP_SIZE);
    walk(at, half, left, false);
    walk(at + half, size - half, right, false);
  }
  walk(0, request.size, fromBytes(request.name), true);
  return out;
}
