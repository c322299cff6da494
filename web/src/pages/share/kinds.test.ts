import { describe, expect, it } from 'vitest';
import { kindOf } from './kinds.ts';

const entry = (path: string, kind: 'file' | 'folder' = 'file') => ({ path, kind, size: 0, type: '', mtime: null });

describe('kinds', () => {
  it.each([
    ['a/photo.JPG', 'Image'],
    ['x.tar.gz', 'Archive'],
    ['report.pdf', 'Document'],
    ['.profile', 'File'],
    ['no-ending', 'File'],
    ['a.b/c', 'File'],
  ])('%s is a %s', (path, word) => expect(kindOf(entry(path)).word).toBe(word));
  it('knows empty folders', () => expect(kindOf(entry('d', 'folder')).word).toBe('Empty folder'));
});
