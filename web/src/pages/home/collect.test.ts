import { describe, expect, it } from 'vitest';
import type { SendItem } from '../../engine/types.ts';
import { merge, totalSize } from './collect.ts';

const item = (path: string, size: number): SendItem => ({ path, file: new File([new Uint8Array(size)], path) });

describe('collect', () => {
  it('lets a later item take the place of an earlier one with its path', () => {
    const merged = merge([item('a', 1), item('b', 2)], [item('a', 5), { path: 'c', dir: true }]);
    expect(merged.map((i) => i.path)).toEqual(['a', 'b', 'c']);
    expect(totalSize(merged)).toBe(7);
  });
});
