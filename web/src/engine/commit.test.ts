import { describe, expect, it } from 'vitest';
import type { RevisionEntry } from '../api/types.gen.ts';
import { makePages } from './commit.ts';

const revision = (extents: number): RevisionEntry => ({
  id: 'A'.repeat(22),
  releaseKey: 'A'.repeat(43),
  commitment: 'A'.repeat(43),
  root: 'A'.repeat(43),
  salt: 'A'.repeat(43),
  prefix: 'A'.repeat(10),
  length: 8388608,
  extents: Array.from({ length: extents }, (_, i) => [i, 0, 8388608]),
});
const blob = () => ({ entry: { name: 'A'.repeat(43), size: 8388608 }, receipts: ['r'.repeat(300), 'r'.repeat(300)] });

describe('makePages', () => {
  it('keeps the order and stays within the budget, as JSON', () => {
    const blobs = Array.from({ length: 500 }, blob);
    const revisions = Array.from({ length: 700 }, (_, i) => revision(i % 5));
    const pages = makePages(blobs, revisions, 100_000);
    expect(pages.length).toBeGreaterThan(5);
    for (const page of pages) expect(JSON.stringify(page).length).toBeLessThan(100_000);
    expect(pages.flatMap((p) => p.blobs)).toEqual(blobs.map((b) => b.entry));
    expect(pages.flatMap((p) => p.receipts)).toHaveLength(1000);
    expect(pages.flatMap((p) => p.revisions)).toEqual(revisions);
  });
  it('makes one page for nothing and for little', () => {
    expect(makePages([], [])).toHaveLength(1);
    expect(makePages([blob()], [revision(1)])).toHaveLength(1);
  });
});
