// Runs in a worker of a bare page: the engine's sealing, and WebCrypto alone, over the same buffers.

import { free } from '../src/engine/memory.ts';
import { OutgoingStream, type Source } from '../src/engine/sealing.ts';
import type { Blake3 } from '../src/format/blob.ts';
import { PIECE_SIZE, PLAIN } from '../src/format/stream.ts';

/** What the source of the measurement reads from, again and again: as many bytes as a processor's caches do not hold. */
const POOL = 64 << 20;
/** Segments at once, as the engine does it. */
const AT_ONCE = 4;

const pool = new Uint8Array(POOL + PIECE_SIZE);
for (let at = 0; at < pool.length; at += 65536) crypto.getRandomValues(pool.subarray(at, at + 65536));

/** As if a file had been read; the copy is counted to the engine. */
const source = (size: number): Source => ({
  size,
  read(from, into) {
    into.set(pool.subarray(from % POOL, (from % POOL) + into.length));
    return Promise.resolve(into);
  },
});

/** Names are no part of sealing. */
const none: Blake3 = { hash: () => new Uint8Array(32) };

async function sealed(bytes: number): Promise<number> {
  const stream = await OutgoingStream.create(source(bytes), none);
  let out = new Uint8Array(PIECE_SIZE);
  const begin = performance.now();
  for (let piece = 0; piece * PIECE_SIZE < bytes; piece++) out = await stream.sealPiece(piece, out, free);
  return (performance.now() - begin) / 1000;
}

async function encrypted(bytes: number): Promise<number> {
  const raw = crypto.getRandomValues(new Uint8Array(32));
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt']);
  const begin = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < bytes) {
      const at = next % POOL;
      next += PLAIN;
      const iv = new Uint8Array(12);
      new DataView(iv.buffer).setFloat64(0, next);
      await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, pool.subarray(at, at + PLAIN));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return (performance.now() - begin) / 1000;
}

addEventListener('message', ({ data }: MessageEvent<{ what: 'sealed' | 'encrypted'; bytes: number }>) => {
  const run = data.what === 'sealed' ? sealed : encrypted;
  run(data.bytes).then(postMessage, (error: unknown) => postMessage(String(error)));
});
