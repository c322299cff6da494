import { describe, expect, it } from 'vitest';
import { checkExtents, covering, type Extent, merge } from './regions.ts';

const blob = (size: number) => ({ upload: '', name: '', size, nodes: [0], ticket: 0 });

describe('regions', () => {
  it('merges what touches and keeps gaps', () => {
    const extents: Extent[] = [
      [0, 0, 10],
      [0, 10, 5],
      [0, 20, 5],
      [1, 0, 8],
      [0, 15, 1],
    ];
    const regions = merge(extents);
    expect(regions).toEqual([
      { blob: 0, from: 0, to: 16 },
      { blob: 0, from: 20, to: 25 },
      { blob: 1, from: 0, to: 8 },
    ]);
    for (const extent of extents) expect(covering(regions, extent).blob).toBe(extent[0]);
  });

  it.each<[string, Extent[], number]>([
    ['an unknown blob', [[3, 0, 10]], 10],
    ['a negative offset', [[0, -1, 10]], 10],
    ['an empty extent', [[0, 0, 0]], 0],
    ['an extent beyond the blob', [[0, 95, 10]], 10],
    ['a sum too small', [[0, 0, 10]], 11],
    [
      'a sum too large',
      [
        [0, 0, 10],
        [0, 10, 10],
      ],
      11,
    ],
    ['a number that is none', [[0, Number.NaN, 10]], 10],
  ])('refuses %s', (_, extents, length) => {
    expect(() => checkExtents(extents, [blob(100)], length)).toThrow(/length/);
  });
});
