import { describe, expect, test } from 'vitest';
import { type ContentKeys, newHead } from './seal.ts';
import { HEADER_SIZE, SEGMENT_SIZE, streamLengthOf } from './stream.ts';
import { pattern } from './vectors/case.kit.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { openStream, sealStream } from './whole.ts';

const random = new Random(21);
const keys: ContentKeys = {
  key: random.bytes(32),
  releaseKey: random.bytes(32),
  fileId: random.bytes(16),
  revisionId: random.bytes(16),
};

async function sealed(size: number) {
  const { stream, commitment, root } = await sealStream(keys, pattern(size));
  const { fileId, revisionId, key } = keys;
  return { stream, content: { fileId, revisionId, key, commitment, root, trueSize: size } };
}

describe('a whole stream', () => {
  test.each([0, 1, 1024, 262_088, 300_000, 8_400_000])('of %d bytes comes back', async (size) => {
    const { stream, content } = await sealed(size);
    expect(stream).toHaveLength(streamLengthOf(size));
    expect(Buffer.compare(await openStream(content, keys.releaseKey, stream), pattern(size))).toBe(0);
  });

  test('says nothing of its plaintext but about how long it is', async () => {
    const { stream } = await sealed(1020);
    expect(Buffer.from(stream).includes(Buffer.from(pattern(16)))).toBe(false);
    expect(stream).toHaveLength((await sealed(1)).stream.length);
  });

  test('never has the head of another', () => {
    const heads = Array.from({ length: 50 }, () => Buffer.from(newHead().salt).toString('hex'));
    expect(new Set(heads).size).toBe(50);
  });
});

describe('what is checked, in its order', () => {
  test('each failure hides those after it', async () => {
    const { stream, content } = await sealed(300_000);
    const bad = { ...content, commitment: flip(content.commitment, 0), root: flip(content.root, 0), trueSize: 299_999 };
    const broken = flip(stream, HEADER_SIZE + SEGMENT_SIZE + 5);
    const open =
      (over: Partial<typeof content>, bytes = stream) =>
      () =>
        openStream({ ...content, ...over }, keys.releaseKey, bytes);
    expect(await failure(open(bad, flip(broken, 0)))).toBe('version');
    expect(await failure(open(bad, broken.slice(0, -1)))).toBe('length');
    expect(await failure(open(bad, broken))).toBe('commitment');
    expect(await failure(open({ ...bad, commitment: content.commitment }, broken))).toBe('segment');
    expect(await failure(open({ ...bad, commitment: content.commitment }))).toBe('root');
    expect(await failure(open({ trueSize: 299_999 }))).toBe('padding');
    expect(await failure(open({}))).toBeUndefined();
  });

  // Row 12 of the threats: who knows K can seal another content under it, but not to the root that was sent.
  test('another content under the same keys is found by the root', async () => {
    const head = newHead();
    const one = await sealStream(keys, pattern(1000), head);
    const other = await sealStream(keys, flip(pattern(1000), 5), head);
    const { fileId, revisionId, key } = keys;
    const content = { fileId, revisionId, key, commitment: one.commitment, root: one.root, trueSize: 1000 };
    expect(other.commitment).toEqual(one.commitment);
    expect(await failure(() => openStream(content, keys.releaseKey, other.stream))).toBe('root');
  });
});
