import { describe, expect, it } from 'vitest';
import type { Bytes } from '../format/bytes.ts';
import { fill } from './filling.ts';

/** A stream of these parts, with readers that fill buffers or without. */
function stream(parts: readonly string[], type: 'bytes' | undefined): { body: ReadableStream<Bytes>; seen: string[] } {
  const seen: string[] = [];
  const rest = [...parts];
  const pull = (controller: { enqueue(part: Bytes): void; close(): void; byobRequest?: unknown }): void => {
    const part = rest.shift();
    seen.push(part ?? 'end');
    if (part !== undefined) {
      controller.enqueue(new Uint8Array(Buffer.from(part)));
      return;
    }
    controller.close();
    (controller.byobRequest as ReadableStreamBYOBRequest | null | undefined)?.respond(0);
  };
  const cancel = (): void => void seen.push('cancelled');
  const source = { pull, cancel, ...(type ? { type } : {}) } as UnderlyingByteSource;
  return { body: new ReadableStream(source, { highWaterMark: 0 }) as ReadableStream<Bytes>, seen };
}

const text = (bytes: unknown): string => Buffer.from(bytes as Bytes).toString();

describe.each([['bytes'], [undefined]] as const)('a stream of type %s', (type) => {
  it('fills its place, part by part, and nothing beside it', async () => {
    const came: number[] = [];
    const whole = new Uint8Array(10).fill(120);
    const filled = (await fill(stream(['01', '234', '5'], type).body, whole.subarray(2, 8), (n) =>
      came.push(n),
    )) as Bytes;
    expect(text(filled)).toBe('012345');
    expect(text(filled.buffer)).toBe('xx012345xx');
    expect(came).toEqual([2, 3, 1]);
  });

  it('that ends early is short', async () => {
    expect(await fill(stream(['01'], type).body, new Uint8Array(3))).toBe('short');
  });

  it('that goes on is long, and not read further', async () => {
    const { body, seen } = stream(['012', '3', '4', '5'], type);
    expect(await fill(body, new Uint8Array(3))).toBe('long');
    expect(seen).toEqual(['012', '3', 'cancelled']);
  });

  it('that breaks is an error', async () => {
    const pull = (c: { error(e: Error): void }): void => c.error(new Error('broken'));
    const body = new ReadableStream({ pull, ...(type ? { type } : {}) } as UnderlyingByteSource);
    await expect(fill(body as ReadableStream<Bytes>, new Uint8Array(3))).rejects.toThrow('broken');
  });
});
