import { GROUP_SIZE } from '../bao.ts';
import type { Bytes } from '../bytes.ts';
import { CHUNK_SIZE, type ChainingValue, leftSize, subtreeValue } from '../chunk.ts';

/** The 32 bytes of a chaining value. */
export function toBytes(value: ChainingValue): Bytes {
  const view = new DataView(new ArrayBuffer(32));
  value.forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  return new Uint8Array(view.buffer);
}

/** What a node answers to a read of a part of a blob: nodes make proofs, browsers check them. */
export function extractSlice(blob: Bytes, offset: number, length: number): Bytes {
  const parts: Uint8Array[] = [];
  function walk(at: number, size: number): void {
    if (at >= offset + length || at + size <= offset) return;
    if (size <= GROUP_SIZE) {
      parts.push(blob.subarray(at, at + size));
      return;
    }
    const left = leftSize(size, GROUP_SIZE);
    const value = (from: number, to: number): Bytes =>
      toBytes(subtreeValue(blob.subarray(from, to), from / CHUNK_SIZE, false));
    parts.push(value(at, at + left), value(at + left, at + size));
    walk(at, left);
    walk(at + left, size - left);
  }
  walk(0, blob.length);
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt(blob.length));
  return new Uint8Array(Buffer.concat([word, ...parts]));
}
