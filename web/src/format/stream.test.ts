import { describe, expect, test } from 'vitest';
import { paddedLength } from './pad.ts';
import {
  FIRST_PLAIN,
  HEADER_SIZE,
  MAX_STREAM,
  PIECE_SIZE,
  PLAIN,
  pieceCount,
  plainLength,
  SEGMENT_SIZE,
  segmentAt,
  segmentCount,
  segmentOf,
  segmentsIn,
  spanOf,
  streamLength,
  streamLengthOf,
  TAG_SIZE,
} from './stream.ts';
import { failure, Random } from './vectors/random.kit.ts';

test('the numbers are those of docs/format.md §4', () => {
  expect([HEADER_SIZE, TAG_SIZE, SEGMENT_SIZE, FIRST_PLAIN, PLAIN]).toEqual([40, 16, 262_144, 262_088, 262_128]);
  expect([PIECE_SIZE, PIECE_SIZE / SEGMENT_SIZE, MAX_STREAM]).toEqual([8_388_608, 32, 8_796_093_022_208]);
});

/** The length of the formula in docs/format.md §4, in arithmetic without limits. */
function lengthOf(p: bigint): bigint {
  const n = p <= 262_088n ? 1n : 1n + (p - 262_088n + 262_127n) / 262_128n;
  return 40n + p + 16n * n;
}

describe('lengths', () => {
  test('follow the formula, beside every border of segments too', () => {
    const random = new Random(31);
    for (let i = 0; i < 1000; i++) {
      const near = FIRST_PLAIN + random.below(2 ** random.below(25)) * PLAIN + random.below(5) - 2;
      for (const p of [Math.max(near, 0), random.below(2 ** 42)]) {
        expect(BigInt(streamLength(p))).toBe(lengthOf(BigInt(p)));
      }
    }
  });

  test('of pieces: each holds 32 segments, the last one what is left', () => {
    for (const [length, pieces] of [
      [1, 1],
      [PIECE_SIZE - 1, 1],
      [PIECE_SIZE, 1],
      [PIECE_SIZE + 1, 2],
      [2 * PIECE_SIZE, 2],
      [MAX_STREAM, 2 ** 20],
    ] as const) {
      expect(pieceCount(length)).toBe(pieces);
    }
  });

  test.each([
    [0, 1, 56],
    [FIRST_PLAIN, 1, SEGMENT_SIZE],
    [FIRST_PLAIN + 1, 2, SEGMENT_SIZE + 17],
    [FIRST_PLAIN + PLAIN, 2, 2 * SEGMENT_SIZE],
    [FIRST_PLAIN + PLAIN + 1, 3, 2 * SEGMENT_SIZE + 17],
  ])('of a padded plaintext of %d bytes', (p, segments, length) => {
    expect(segmentCount(p)).toBe(segments);
    expect(streamLength(p)).toBe(length);
  });

  test('come back, and their neighbours are valid only where they are those of another plaintext', () => {
    const random = new Random(3);
    for (let i = 0; i < 800; i++) {
      const size = random.below(2 ** (1 + random.below(42)));
      const length = streamLengthOf(size);
      expect(plainLength(length)).toBe(paddedLength(size));
      for (const near of [length - 1, length + 1]) {
        const p = near - HEADER_SIZE - TAG_SIZE * Math.ceil(near / SEGMENT_SIZE);
        if (p < 1024 || paddedLength(p) !== p) expect(() => plainLength(near)).toThrow('length');
      }
    }
  });

  test('end at what the extents of a revision can hold', async () => {
    const largest = 2 ** 43 - 2 ** 37;
    expect(streamLengthOf(largest)).toBeLessThan(MAX_STREAM);
    expect(pieceCount(MAX_STREAM)).toBe(2 ** 20);
    // The longest that fits fills its 2^25 segments; with one byte more there is a segment more.
    const most = MAX_STREAM - HEADER_SIZE - TAG_SIZE * 2 ** 25;
    expect(streamLength(most)).toBe(MAX_STREAM);
    expect(await failure(() => streamLength(most + 1))).toBe('length');
    expect(await failure(() => streamLength(Number.NaN))).toBe('length');
    expect(await failure(() => streamLengthOf(2 ** 43))).toBe('length');
    // That of a padded plaintext, had it a stream.
    expect(await failure(() => plainLength(Number(lengthOf(2n ** 43n))))).toBe('length');
    expect(await failure(() => streamLengthOf(2 ** 52))).toBe('length');
    expect(await failure(() => plainLength(2 ** 44))).toBe('length');
  });

  test.each([0, 55, 56, 1079, 1081, -1, Number.NaN, 1080.5])('%d is none', async (length) => {
    expect(await failure(() => plainLength(length))).toBe('length');
  });
});

describe('segments', () => {
  test('follow each other without gap, in the stream and in the plaintext', () => {
    for (const p of [1024, FIRST_PLAIN, FIRST_PLAIN + 1, FIRST_PLAIN + 2 * PLAIN, 5_000_000]) {
      const length = streamLength(p);
      const count = segmentCount(p);
      let [at, plain] = [HEADER_SIZE, 0];
      for (let i = 0; i < count; i++) {
        const segment = segmentAt(i, length);
        expect(segment).toMatchObject({ index: i, from: at, plainFrom: plain, last: i === count - 1 });
        expect(segment.to - segment.from - TAG_SIZE).toBe(segment.plainTo - segment.plainFrom);
        expect([segmentOf(segment.plainFrom), segmentOf(segment.plainTo - 1)]).toEqual([i, i]);
        at = segment.to;
        plain = segment.plainTo;
      }
      expect([at, plain]).toEqual([length, p]);
    }
  });

  test('outside the stream are a mistake', () => {
    for (const i of [-1, 1, 0.5]) expect(() => segmentAt(i, 1080)).toThrow(RangeError);
  });

  test('of a part are cut where they begin and end', () => {
    const length = streamLength(FIRST_PLAIN + 3 * PLAIN + 5);
    const stream = new Uint8Array(length).map((_, i) => i >> 10);
    for (const [first, last] of [
      [0, 4],
      [0, 0],
      [1, 2],
      [4, 4],
    ] as const) {
      const [from, to] = [segmentAt(first, length).from, segmentAt(last, length).to];
      const parts = [...segmentsIn(stream.subarray(from, to), first)];
      expect(parts.map(({ index }) => index)).toEqual(Array.from({ length: last - first + 1 }, (_, i) => first + i));
      for (const { index, ciphertext } of parts) {
        const segment = segmentAt(index, length);
        expect(Buffer.compare(ciphertext, stream.subarray(segment.from, segment.to))).toBe(0);
      }
    }
  });
});

describe('a segment anywhere in the largest stream', () => {
  const length = streamLengthOf(2 ** 43 - 2 ** 37);
  const count = length / SEGMENT_SIZE;

  test('is found by every byte that it holds', () => {
    const random = new Random(17);
    for (let i = 0; i < 500; i++) {
      const index = random.below(Math.ceil(count));
      const { plainFrom, plainTo, from, to, last } = segmentAt(index, length);
      expect([segmentOf(plainFrom), segmentOf(plainTo - 1)]).toEqual([index, index]);
      if (!last) expect(segmentOf(plainTo)).toBe(index + 1);
      expect(to - from).toBe(plainTo - plainFrom + TAG_SIZE);
      expect(from).toBe(index === 0 ? HEADER_SIZE : index * SEGMENT_SIZE);
    }
  });

  test('is the last at its end alone', () => {
    const end = Math.ceil(count) - 1;
    expect([end - 2, end - 1, end].map((i) => segmentAt(i, length).last)).toEqual([false, false, true]);
    expect(segmentAt(end, length).to).toBe(length);
    for (const beyond of [end + 1, end + 2]) expect(() => segmentAt(beyond, length)).toThrow(RangeError);
  });

  test('lies within the span of any range that meets it, and of no other', () => {
    const random = new Random(18);
    const p = plainLength(length);
    for (let i = 0; i < 300; i++) {
      const offset = random.below(p - 2 ** 22);
      const size = 1 + random.below(2 ** random.below(22));
      const span = spanOf(offset, size, length);
      const [first, last] = [segmentAt(span.first, length), segmentAt(span.last, length)];
      expect(first.plainFrom <= offset && offset < first.plainTo).toBe(true);
      expect(last.plainFrom < offset + size && offset + size <= last.plainTo).toBe(true);
      expect([span.from, span.to]).toEqual([first.from, last.to]);
    }
  });
});

describe('spans', () => {
  const length = streamLengthOf(8_000_000);

  test.each([
    ['the first byte', 0, 1, 0, 0],
    ['all of segment 0', 0, FIRST_PLAIN, 0, 0],
    ['the border of 0 and 1', FIRST_PLAIN - 1, 2, 0, 1],
    ['the first byte of 1', FIRST_PLAIN, 1, 1, 1],
    ['the last byte of 1', FIRST_PLAIN + PLAIN - 1, 1, 1, 1],
    ['the first byte of 2', FIRST_PLAIN + PLAIN, 1, 2, 2],
    ['more than a segment', FIRST_PLAIN + 5, PLAIN, 1, 2],
  ])('hold %s', (_, offset, size, first, last) => {
    const span = spanOf(offset, size, length);
    expect(span).toEqual({ first, last, from: segmentAt(first, length).from, to: segmentAt(last, length).to });
  });

  test('of 1 MiB anywhere take at most two segments more', () => {
    const random = new Random(4);
    for (let i = 0; i < 500; i++) {
      const { from, to } = spanOf(random.below(6_000_000), 2 ** 20, length);
      expect(to - from).toBeLessThanOrEqual(2 ** 20 + 512 * 1024);
    }
  });

  test('outside the padded plaintext are a mistake', () => {
    const p = plainLength(length);
    for (const [offset, size] of [
      [-1, 1],
      [0, 0],
      [p, 1],
      [p - 1, 2],
    ] as const) {
      expect(() => spanOf(offset, size, length)).toThrow(RangeError);
    }
  });
});
