import { describe, expect, it } from 'vitest';
import { loadBlake3 } from '../format/blob.ts';
import { concat } from '../format/bytes.ts';
import { streamLengthOf } from '../format/stream.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { collect, openFile } from './incoming.ts';
import { bytesSource, fileSource, OutgoingStream } from './sealing.ts';
import { store } from './world.kit.ts';

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

describe('a sealed stream', () => {
  it.each([0, 1, 262_087, 262_088, 262_089, 1_000_000, 9_000_000])('of %d bytes opens again', async (size) => {
    const blake3 = await loadBlake3();
    const { content, revision, blobs } = await store(pattern(size), blake3);
    expect(blobs.reduce((n, b) => n + b.bytes.length, 0)).toBe(streamLengthOf(size));
    const file = { ...content, size };
    const plain = await collect(
      openFile(file, revision, each(blobs.map(({ bytes }) => ({ bytes, name: undefined }))), blake3),
    );
    expect(plain.length).toBe(size);
    expect(Buffer.from(plain).equals(Buffer.from(pattern(size)))).toBe(true);
  });

  it('T12: draws key, salt and ids anew for the same file', async () => {
    const blake3 = await loadBlake3();
    const [a, b] = [await store(pattern(1000), blake3), await store(pattern(1000), blake3)];
    for (const field of ['id', 'releaseKey', 'commitment', 'root', 'salt', 'prefix'] as const) {
      expect(a.revision[field], field).not.toBe(b.revision[field]);
    }
    expect(a.content.key).not.toEqual(b.content.key);
    expect(a.blobs[0]?.name).not.toBe(b.blobs[0]?.name);
  });
});

describe('T12: a file that changed', () => {
  it('is told when it gives fewer bytes than it had', async () => {
    const short = { size: 10, slice: () => new Blob(['12345']) } as unknown as File;
    await expect(fileSource(short, 'log.txt').read(0, new Uint8Array(10))).rejects.toMatchObject({
      code: 'file-changed',
      detail: 'log.txt',
    });
  });

  it('is told when it cannot be read any more', async () => {
    const gone = {
      size: 10,
      slice: () => ({
        stream: () =>
          new ReadableStream({ type: 'bytes', pull: (c) => c.error(new DOMException('', 'NotReadableError')) }),
      }),
    } as unknown as File;
    await expect(fileSource(gone, 'gone.txt').read(0, new Uint8Array(10))).rejects.toMatchObject({
      code: 'file-unreadable',
    });
  });

  it('stops the stream that it is part of', async () => {
    const source = { size: 300_000, read: () => Promise.reject(new Error('changed')) };
    const stream = await OutgoingStream.create(source, await loadBlake3());
    await expect(stream.sealPiece(0, new Uint8Array(stream.length), () => {})).rejects.toThrow('changed');
    expect(() => stream.content()).toThrow();
  });

  it('gives sources their ranges', async () => {
    const source = bytesSource(concat(pattern(10), pattern(5)));
    expect(await source.read(10, new Uint8Array(5))).toEqual(pattern(5));
    const file = fileSource(new File(['0123456789'], 'x'), 'x');
    expect(Buffer.from(await file.read(2, new Uint8Array(2))).toString()).toBe('23');
  });

  it('leaves what lies beside a range as it was', async () => {
    const file = fileSource(new File(['0123456789'], 'x'), 'x');
    const moved = await file.read(3, new Uint8Array(10).fill(120).subarray(2, 5));
    expect(Buffer.from(moved.buffer).toString()).toBe('xx345xxxxx');
  });
});
