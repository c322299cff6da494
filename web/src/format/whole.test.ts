import { describe, expect, test } from 'vitest';
import { cuts, loadBlake3, MAX_BLOB, rootOf } from './blob.ts';
import { type ContentKeys, newHead, parseHeader } from './seal.ts';
import { HEADER_SIZE, SEGMENT_SIZE, streamLengthOf } from './stream.ts';
import { pattern, toHex } from './vectors/case.kit.ts';
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

describe('what is said of a sealed stream', () => {
  test.each([1000, 8_000_000, 17_000_000])('of %d bytes: its head, its pieces by name, its root', async (size) => {
    const { stream, head, names, root } = await sealStream(keys, pattern(size));
    expect(parseHeader(stream)).toEqual(head);
    const blake3 = await loadBlake3();
    const cut = cuts(stream.length).map((n, i) => stream.subarray(i * MAX_BLOB, i * MAX_BLOB + n));
    expect(names.map(toHex)).toEqual(cut.map((piece) => toHex(blake3.hash(piece))));
    expect(root).toEqual(rootOf(blake3, names));
  });

  test('is fresh each time, and under the same head the same', async () => {
    const [one, other] = [await sealStream(keys, pattern(1000)), await sealStream(keys, pattern(1000))];
    expect(toHex(other.head.salt)).not.toBe(toHex(one.head.salt));
    expect(toHex(other.head.prefix)).not.toBe(toHex(one.head.prefix));
    for (const what of ['stream', 'commitment', 'root'] as const) expect(other[what]).not.toEqual(one[what]);
    expect(await sealStream(keys, pattern(1000), one.head)).toEqual(one);
  });

  test('the plaintext given stays as it is', async () => {
    const plaintext = pattern(5000);
    await sealStream(keys, plaintext);
    expect(Buffer.compare(plaintext, pattern(5000))).toBe(0);
  });
});

describe('a stream of another length than its descriptor’s is refused before any key is made', () => {
  test.each([0, 1020, 262_088, 300_000])('of %d bytes', async (size) => {
    const { stream, content } = await sealed(size);
    const longer = (n: number) => {
      const out = new Uint8Array(stream.length + n);
      out.set(stream);
      return out;
    };
    const wrong = { ...content, commitment: new Uint8Array(32) };
    for (const other of [
      longer(1),
      longer(16),
      longer(SEGMENT_SIZE),
      stream.slice(0, -1),
      stream.slice(0, HEADER_SIZE),
    ]) {
      expect(await failure(() => openStream(wrong, keys.releaseKey, other))).toBe('length');
    }
    for (const trueSize of [size + 100_000, 2 ** 43, 2 ** 53 - 1]) {
      expect(await failure(() => openStream({ ...wrong, trueSize }, keys.releaseKey, stream))).toBe('length');
    }
    expect(await failure(() => openStream(wrong, keys.releaseKey, stream))).toBe('commitment');
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
