import { describe, expect, it } from 'vitest';
import type { SendItem } from '../../engine/types.ts';
import { fromTransfer, merge, sealedSize, totalSize } from './collect.ts';

const item = (path: string, size: number, lastModified = 1): SendItem => ({
  path,
  file: new File([new Uint8Array(size)], path, { lastModified }),
});

describe('what is added to a choice', () => {
  it('is kept beside another file of its name, under a new one', () => {
    const { items, renamed } = merge([item('a/report.pdf', 1), item('b', 2)], [item('a/report.pdf', 5), item('b', 3)]);
    expect(items.map((i) => i.path)).toEqual(['a/report.pdf', 'b', 'a/report (2).pdf', 'b (2)']);
    expect(renamed).toEqual(['a/report (2).pdf', 'b (2)']);
    expect(totalSize(items)).toBe(11);
    const more = merge(items, [item('a/report.pdf', 7), item('.env', 1)]);
    expect(more.renamed).toEqual(['a/report (3).pdf']);
    expect(merge(more.items, [item('.env', 2)]).renamed).toEqual(['.env (2)']);
  });

  it('is not doubled when it is the same file again', () => {
    const { items, renamed } = merge(
      [item('a', 1)],
      [item('a', 1), { path: 'c', dir: true }, { path: 'c', dir: true }],
    );
    expect(items.map((i) => i.path)).toEqual(['a', 'c']);
    expect(renamed).toEqual([]);
    expect(merge([item('a', 1, 1)], [item('a', 1, 2)]).items).toHaveLength(2);
  });

  it('weighs more when it is sealed', () => {
    expect(sealedSize([item('a', 1), { path: 'c', dir: true }])).toBe(1080);
  });
});

// The browser's entries, as far as they are read.
const fileEntry = (name: string, read: () => File): unknown => ({
  name,
  isFile: true,
  file: (yes: (f: File) => void, no: (e: Error) => void) => {
    try {
      yes(read());
    } catch (error) {
      no(error as Error);
    }
  },
});
const folderEntry = (name: string, inside: readonly unknown[], broken = false): unknown => ({
  name,
  isFile: false,
  createReader: () => {
    let at = 0;
    return {
      readEntries: (yes: (e: readonly unknown[]) => void, no: (e: Error) => void) => {
        if (broken) no(new Error('denied'));
        else yes(inside.slice(at, at + 2));
        at += 2;
      },
    };
  },
});
const transfer = (...entries: readonly unknown[]): DataTransfer =>
  ({ items: entries.map((entry) => ({ kind: 'file', webkitGetAsEntry: () => entry })) }) as unknown as DataTransfer;
const unreadable = (): File => {
  throw new Error('gone');
};

describe('a drop', () => {
  it('walks folders, however many entries come at a time, and keeps empty ones', async () => {
    const files = ['1', '2', '3', '4', '5'].map((n) => fileEntry(n, () => new File(['x'], n)));
    const found = await fromTransfer(transfer(folderEntry('d', [...files, folderEntry('empty', [])])));
    expect(found.items.map((i) => i.path)).toEqual(['d/1', 'd/2', 'd/3', 'd/4', 'd/5', 'd/empty']);
    expect(found.unreadable).toEqual([]);
  });

  it('names what cannot be read and takes the rest', async () => {
    const good = fileEntry('good', () => new File(['x'], 'good'));
    const found = await fromTransfer(
      transfer(folderEntry('d', [fileEntry('bad', unreadable), good, folderEntry('locked', [], true)]), good),
    );
    expect(found.items.map((i) => i.path)).toEqual(['d/good', 'good']);
    expect(found.unreadable).toEqual(['d/bad', 'd/locked']);
  });
});
