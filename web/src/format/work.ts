import { type Bytes, concat } from './bytes.ts';

// The proof of work that a sign-up shows (docs/format.md §17).

/** The most that a client works for. */
export const MAX_BITS = 26;

const BYTE = 8;

async function zerosOf(data: Bytes): Promise<number> {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  let zeros = 0;
  for (const byte of sum) {
    const here = Math.clz32(byte) - 24;
    zeros += here;
    if (here < BYTE) break;
  }
  return zeros;
}

/** The least nonce whose hash with the challenge begins with so many zero bits. Nonces stay far below 2^53. */
export async function findWork(challenge: Bytes, bits: number, signal?: AbortSignal): Promise<number> {
  if (bits > MAX_BITS) throw new RangeError(`the server asks for ${bits} bits of work, at most ${MAX_BITS} are done`);
  const data = concat(challenge, new Uint8Array(BYTE));
  const view = new DataView(data.buffer);
  for (let nonce = 0; ; nonce++) {
    signal?.throwIfAborted();
    view.setBigUint64(challenge.length, BigInt(nonce));
    if ((await zerosOf(data)) >= bits) return nonce;
  }
}
