import { describe, expect, it } from 'vitest';
import { MAX_BLOB } from '../format/blob.ts';
import { streamLengthOf } from '../format/stream.ts';
import { planBlobs, totalLength } from './plan.ts';

const MiB = 1024 * 1024;

describe('planBlobs', () => {
  it.each<[string, number[]]>([
    ['one empty file', [0]],
    ['small files', Array.from({ length: 2000 }, () => 10_240)],
    ['a large one between small ones', [5, 20 * MiB, 7]],
    ['just packable and just not', [1_000_000, 1_048_000, 1_100_000]],
    ['many of nearly 1 MiB', Array.from({ length: 20 }, () => 1_000_000)],
  ])('puts every byte of %s into exactly one blob', (_, sizes) => {
    const blobs = planBlobs(sizes);
    const seen = new Map<number, number>();
    for (const blob of blobs) {
      const size = blob.reduce((n, part) => n + part.length, 0);
      expect(size).toBeLessThanOrEqual(MAX_BLOB);
      expect(size).toBeGreaterThan(0);
      for (const part of blob) {
        expect(part.piece * MAX_BLOB).toBe(seen.get(part.stream) ?? 0);
        seen.set(part.stream, (seen.get(part.stream) ?? 0) + part.length);
      }
    }
    expect(sizes.map((_, i) => seen.get(i))).toEqual(sizes.map(streamLengthOf));
    expect([...seen.values()].reduce((a, b) => a + b, 0)).toBe(totalLength(sizes));
  });

  it('needs at most 4 blobs for 2,000 files of 10 KiB', () => {
    expect(planBlobs([...Array.from({ length: 2000 }, () => 10_240), 480_000]).length).toBeLessThanOrEqual(4);
  });

  it('gives a large stream its blobs for itself', () => {
    const blobs = planBlobs([5, 20 * MiB, 7]);
    expect(blobs.filter((b) => b.some((p) => p.stream === 1)).every((b) => b.length === 1)).toBe(true);
  });
});
