// BLAKE3's compression and what stands on it for a part of a tree: the chaining values of groups of chunks and of
// parents, which range proofs are checked with (bao.ts). Whole blobs go through WebAssembly (blob.ts), which is
// faster but does not give these away.

export const CHUNK_SIZE = 1024;
const BLOCK_SIZE = 64;

const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;

const IV = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

/** Which word of the block each step of the seven rounds takes. */
const SCHEDULE = schedule();

function schedule(): Uint8Array {
  const words = new Uint8Array(7 * 16);
  for (let i = 0; i < 16; i++) words[i] = i;
  for (let i = 16; i < words.length; i++) words[i] = words[i - 16 - (i % 16) + (PERMUTATION[i % 16] ?? 0)] ?? 0;
  return words;
}

/** A chaining value: eight words. */
export type ChainingValue = Uint32Array<ArrayBuffer>;

// One block and one state serve all calls: compress is not called again before it returns.
const block = new Uint32Array(16);
const blockView = new DataView(new ArrayBuffer(BLOCK_SIZE));
const blockBytes = new Uint8Array(blockView.buffer);

function rotate(word: number, left: number): number {
  return (word << left) | (word >>> (32 - left));
}

/**
 * Replaces `cv` by its compression with the block. The chunk's number is below 2^32: blobs are small. The state stands
 * in variables and the steps are written out, which makes it four times as fast as a loop over arrays.
 */
// biome-ignore lint/complexity/noExcessiveCognitiveComplexity: it counts each "?? 0", which only tells the compiler that no index is out of range
function compress(cv: ChainingValue, chunk: number, size: number, flags: number): void {
  let v0 = cv[0] ?? 0;
  let v1 = cv[1] ?? 0;
  let v2 = cv[2] ?? 0;
  let v3 = cv[3] ?? 0;
  let v4 = cv[4] ?? 0;
  let v5 = cv[5] ?? 0;
  let v6 = cv[6] ?? 0;
  let v7 = cv[7] ?? 0;
  let v8 = 0x6a09e667;
  let v9 = 0xbb67ae85;
  let v10 = 0x3c6ef372;
  let v11 = 0xa54ff53a;
  let v12 = chunk;
  let v13 = 0;
  let v14 = size;
  let v15 = flags;
  const m = block;
  const s = SCHEDULE;
  for (let r = 0; r < 112; r += 16) {
    v0 = (v0 + v4 + (m[s[r] ?? 0] ?? 0)) | 0;
    v12 = rotate(v12 ^ v0, 16);
    v8 = (v8 + v12) | 0;
    v4 = rotate(v4 ^ v8, 20);
    v0 = (v0 + v4 + (m[s[r + 1] ?? 0] ?? 0)) | 0;
    v12 = rotate(v12 ^ v0, 24);
    v8 = (v8 + v12) | 0;
    v4 = rotate(v4 ^ v8, 25);
    v1 = (v1 + v5 + (m[s[r + 2] ?? 0] ?? 0)) | 0;
    v13 = rotate(v13 ^ v1, 16);
    v9 = (v9 + v13) | 0;
    v5 = rotate(v5 ^ v9, 20);
    v1 = (v1 + v5 + (m[s[r + 3] ?? 0] ?? 0)) | 0;
    v13 = rotate(v13 ^ v1, 24);
    v9 = (v9 + v13) | 0;
    v5 = rotate(v5 ^ v9, 25);
    v2 = (v2 + v6 + (m[s[r + 4] ?? 0] ?? 0)) | 0;
    v14 = rotate(v14 ^ v2, 16);
    v10 = (v10 + v14) | 0;
    v6 = rotate(v6 ^ v10, 20);
    v2 = (v2 + v6 + (m[s[r + 5] ?? 0] ?? 0)) | 0;
    v14 = rotate(v14 ^ v2, 24);
    v10 = (v10 + v14) | 0;
    v6 = rotate(v6 ^ v10, 25);
    v3 = (v3 + v7 + (m[s[r + 6] ?? 0] ?? 0)) | 0;
    v15 = rotate(v15 ^ v3, 16);
    v11 = (v11 + v15) | 0;
    v7 = rotate(v7 ^ v11, 20);
    v3 = (v3 + v7 + (m[s[r + 7] ?? 0] ?? 0)) | 0;
    v15 = rotate(v15 ^ v3, 24);
    v11 = (v11 + v15) | 0;
    v7 = rotate(v7 ^ v11, 25);
    v0 = (v0 + v5 + (m[s[r + 8] ?? 0] ?? 0)) | 0;
    v15 = rotate(v15 ^ v0, 16);
    v10 = (v10 + v15) | 0;
    v5 = rotate(v5 ^ v10, 20);
    v0 = (v0 + v5 + (m[s[r + 9] ?? 0] ?? 0)) | 0;
    v15 = rotate(v15 ^ v0, 24);
    v10 = (v10 + v15) | 0;
    v5 = rotate(v5 ^ v10, 25);
    v1 = (v1 + v6 + (m[s[r + 10] ?? 0] ?? 0)) | 0;
    v12 = rotate(v12 ^ v1, 16);
    v11 = (v11 + v12) | 0;
    v6 = rotate(v6 ^ v11, 20);
    v1 = (v1 + v6 + (m[s[r + 11] ?? 0] ?? 0)) | 0;
    v12 = rotate(v12 ^ v1, 24);
    v11 = (v11 + v12) | 0;
    v6 = rotate(v6 ^ v11, 25);
    v2 = (v2 + v7 + (m[s[r + 12] ?? 0] ?? 0)) | 0;
    v13 = rotate(v13 ^ v2, 16);
    v8 = (v8 + v13) | 0;
    v7 = rotate(v7 ^ v8, 20);
    v2 = (v2 + v7 + (m[s[r + 13] ?? 0] ?? 0)) | 0;
    v13 = rotate(v13 ^ v2, 24);
    v8 = (v8 + v13) | 0;
    v7 = rotate(v7 ^ v8, 25);
    v3 = (v3 + v4 + (m[s[r + 14] ?? 0] ?? 0)) | 0;
    v14 = rotate(v14 ^ v3, 16);
    v9 = (v9 + v14) | 0;
    v4 = rotate(v4 ^ v9, 20);
    v3 = (v3 + v4 + (m[s[r + 15] ?? 0] ?? 0)) | 0;
    v14 = rotate(v14 ^ v3, 24);
    v9 = (v9 + v14) | 0;
    v4 = rotate(v4 ^ v9, 25);
  }
  cv[0] = v0 ^ v8;
  cv[1] = v1 ^ v9;
  cv[2] = v2 ^ v10;
  cv[3] = v3 ^ v11;
  cv[4] = v4 ^ v12;
  cv[5] = v5 ^ v13;
  cv[6] = v6 ^ v14;
  cv[7] = v7 ^ v15;
}

function setBlock(data: Uint8Array): void {
  blockBytes.fill(0);
  blockBytes.set(data);
  for (let i = 0; i < 16; i++) block[i] = blockView.getUint32(4 * i, true);
}

function chunkValue(data: Uint8Array, chunk: number, root: boolean): ChainingValue {
  const cv = IV.slice();
  let at = 0;
  do {
    const part = data.subarray(at, at + BLOCK_SIZE);
    const start = at === 0 ? CHUNK_START : 0;
    at += BLOCK_SIZE;
    const end = at >= data.length ? CHUNK_END | (root ? ROOT : 0) : 0;
    setBlock(part);
    compress(cv, chunk, part.length, start | end);
  } while (at < data.length);
  return cv;
}

export function parentValue(left: ChainingValue, right: ChainingValue, root: boolean): ChainingValue {
  const cv = IV.slice();
  block.set(left, 0);
  block.set(right, 8);
  compress(cv, 0, BLOCK_SIZE, PARENT | (root ? ROOT : 0));
  return cv;
}

/** The largest power of two times `unit` that is below n: what the left child of a subtree of n bytes covers. */
export function leftSize(n: number, unit: number): number {
  let size = unit;
  while (size * 2 < n) size *= 2;
  return size;
}

/** The chaining value of the subtree over `data`, whose first chunk has that number in the whole. */
export function subtreeValue(data: Uint8Array, chunk: number, root: boolean): ChainingValue {
  if (data.length <= CHUNK_SIZE) return chunkValue(data, chunk, root);
  const left = leftSize(data.length, CHUNK_SIZE);
  return parentValue(
    subtreeValue(data.subarray(0, left), chunk, false),
    subtreeValue(data.subarray(left), chunk + left / CHUNK_SIZE, false),
    root,
  );
}

/** The 32 bytes as a chaining value. */
export function fromBytes(bytes: Uint8Array): ChainingValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i, true));
}
