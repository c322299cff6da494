import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type Blake3, loadBlake3 } from '../format/blob.ts';
import { type Bytes, concat } from '../format/bytes.ts';
import { newKey, parseName, toText } from '../format/id.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { type Arrived, openFile } from './incoming.ts';
import { store } from './world.kit.ts';

const SIZE = 9_000_000; // two pieces
let blake3: Blake3;
let stored: Awaited<ReturnType<typeof store>>;
beforeAll(async () => {
  blake3 = await loadBlake3();
  stored = await store(pattern(SIZE), blake3);
});

/** The pieces as they come from nodes: opened in place of nothing, so that each run gets its own copy. */
async function* arriving(named: boolean): AsyncGenerator<Arrived> {
  for (const { bytes, name } of stored.blobs) yield { bytes: bytes.slice(), name: named ? parseName(name) : undefined };
}

async function opened(pieces: AsyncIterable<Arrived>, hasher = blake3): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const part of openFile({ ...stored.content, size: SIZE }, stored.revision, pieces, hasher))
    parts.push(part);
  return concat(...parts);
}

describe('a stream that comes in', () => {
  it.each([
    [true, 1],
    [false, 3],
  ])('whose names were compared: %s, is hashed %d times, the root included', async (named, times) => {
    const hash = vi.fn((data: Uint8Array) => blake3.hash(data));
    const plain = await opened(arriving(named), { hash });
    expect(Buffer.from(plain).equals(Buffer.from(pattern(SIZE)))).toBe(true);
    expect(hash).toHaveBeenCalledTimes(times);
  });

  it('T8: with a name that is not the one of its bytes does not pass', async () => {
    async function* renamed(): AsyncGenerator<Arrived> {
      for await (const { bytes } of arriving(true)) yield { bytes, name: parseName(toText(newKey())) };
    }
    await expect(opened(renamed())).rejects.toMatchObject({ code: 'root' });
  });

  it('gives out what was opened before a damaged segment, and nothing behind it', async () => {
    async function* damaged(): AsyncGenerator<Arrived> {
      for await (const { bytes, name } of arriving(true)) {
        bytes[5 * 262_144 + 9] = (bytes[5 * 262_144 + 9] ?? 0) ^ 1;
        yield { bytes, name };
      }
    }
    let came = 0;
    const reading = (async () => {
      for await (const part of openFile({ ...stored.content, size: SIZE }, stored.revision, damaged(), blake3))
        came += part.length;
    })();
    await expect(reading).rejects.toMatchObject({ code: 'segment' });
    expect(came).toBeLessThanOrEqual(5 * 262_128);
    expect(came).toBeGreaterThan(3 * 262_128); // the last one is held back
  });
});
