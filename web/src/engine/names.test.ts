import { describe, expect, it } from 'vitest';
import { MAX_ENTRIES, MAX_FOLDERS } from '../format/descriptor.ts';
import { checkNames } from './names.ts';
import type { SendItem } from './types.ts';

const file = (path: string): SendItem => ({ path, file: new File([], 'x') });
const folder = (path: string): SendItem => ({ path, dir: true });
const refusal = (items: readonly SendItem[], title?: string): unknown => {
  try {
    checkNames(items, title);
    return undefined;
  } catch (error) {
    return error;
  }
};

/** Files of which each lies in 100 folders of its own, with so many folders above them in all. */
function manyFolders(folders: number): SendItem[] {
  const items: SendItem[] = [];
  for (let left = folders; left > 0; left -= 100) {
    const depth = Math.min(left, 100);
    items.push(file(`${items.length}/${'d/'.repeat(depth - 1)}x`));
  }
  return items;
}

describe('what is chosen, before byte 1', () => {
  it.each<[string, readonly SendItem[], string | undefined]>([
    ['plain names', [file('a.txt'), file('b/c/d.txt'), folder('b/e')], 'Holiday, July'],
    ['names that only look like folders of each other', [file('ab'), file('abc/d'), file('a')], undefined],
    ['the longest name', [file('x'.repeat(255))], 'y'.repeat(255)],
    ['as many folders as a listing takes', manyFolders(MAX_FOLDERS), undefined],
    ['characters beyond the first plane', [file('\u{1F642}.txt')], '\u{1F642}'],
  ])('%s are taken', (_, items, title) => expect(refusal(items, title)).toBeUndefined());

  it.each<[string, readonly SendItem[], string | undefined, string]>([
    ['a way up', [file('a/../b')], undefined, 'bad-name'],
    ['an empty component', [file('a//b')], undefined, 'bad-name'],
    ['NUL', [file('a\0b')], undefined, 'bad-name'],
    ['a name that is too long', [file('ü'.repeat(128))], undefined, 'bad-name'],
    ['a path that is too long', [file(`${'abcdefg/'.repeat(512)}x`)], undefined, 'bad-name'],
    [
      'a path that is too long in few components',
      [file(`${'x'.repeat(255)}/`.repeat(16).concat('y'))],
      undefined,
      'bad-name',
    ],
    ['half a character', [file('a\ud800b')], undefined, 'bad-name'],
    ['nothing', [], undefined, 'bad-name'],
    ['two files of one path', [file('a/b'), file('c'), file('a/b')], undefined, 'bad-name'],
    ['a file and an empty folder of one path', [file('a'), folder('a')], undefined, 'bad-name'],
    ['a file where a folder is', [file('notes'), file('notes/a')], undefined, 'bad-name'],
    ['a file where a folder far above is', [file('n/m/a'), folder('n/m/b/c'), file('n')], undefined, 'bad-name'],
    ['a title with a slash', [file('a'), file('b')], 'July 7/8', 'bad-name'],
    ['a title of dots', [file('a'), file('b')], '..', 'bad-name'],
    ['half a character in the title', [file('a')], '\udc00', 'bad-name'],
    ['one folder too many', manyFolders(MAX_FOLDERS + 1), undefined, 'over-limit'],
    ['too many', new Array<SendItem>(MAX_ENTRIES + 1).fill(file('a')), undefined, 'over-limit'],
  ])('%s is refused and named', (_, items, title, code) => expect(refusal(items, title)).toMatchObject({ code }));
});
