import { describe, expect, test } from 'vitest';
import {
  type Bundle,
  type Content,
  comparePaths,
  type Descriptor,
  decodeBundle,
  decodeDescriptor,
  encodeBundle,
  encodeDescriptor,
  KIND,
  listedPathFault,
  MAX_BUNDLE,
  MAX_DEPTH,
  MAX_DESCRIPTOR,
  MAX_ENTRIES,
  MAX_FOLDERS,
  newBundle,
  totals,
} from './descriptor.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { encodingOf, holdToShape, type Path, put, type Tree, treeOf } from './vectors/tree.kit.ts';

const random = new Random(14);

function content(trueSize = 5): Content {
  return {
    fileId: random.bytes(16),
    revisionId: random.bytes(16),
    key: random.bytes(32),
    commitment: random.bytes(32),
    root: random.bytes(32),
    trueSize,
  };
}

function file(path: string, more: Partial<Descriptor> = {}): Descriptor {
  return { path, kind: KIND.file, content: content(), ...more };
}

function folder(path: string): Descriptor {
  return { path, kind: KIND.folder };
}

describe('a descriptor', () => {
  test.each([
    ['the least file', file('a')],
    ['the least folder', folder('a')],
    ['a file with all there is', file('a/b', { ...all(), executable: true })],
    ['a time of 0', file('a', { mtime: 0 })],
    ['a time before 1970', file('a', { mtime: -1, mtimeNanos: 999_999_999 })],
  ])('comes back: %s', (_, entry) => {
    expect(decodeDescriptor(encodeDescriptor(entry))).toEqual(entry);
  });

  test.each([
    ['a file without content', { path: 'a', kind: KIND.file }],
    ['another kind', { ...file('a'), kind: 3 }],
    ['a folder with content', { ...folder('a'), content: content() }],
    ['a folder with a media type', { ...folder('a'), mediaType: 'x' }],
    ['an executable folder', { ...folder('a'), executable: true as const }],
    ['a folder with versions', { ...folder('a'), versions: [{ content: content() }] }],
    ['a folder with a thumbnail', { ...folder('a'), thumbnail: content() }],
    ['nanoseconds alone', file('a', { mtimeNanos: 5 })],
    ['no nanoseconds, written', file('a', { mtime: 1, mtimeNanos: 0 })],
    ['a media type that is not ASCII', file('a', { mediaType: 'é' })],
    ['a media type with a line feed at the end', file('a', { mediaType: 'a\n' })],
    ['an empty media type', file('a', { mediaType: '' })],
    ['no versions, written', file('a', { versions: [] })],
    ['a size of 2^53', file('a', { content: content(2 ** 53) })],
    ['a negative size', file('a', { content: content(-1) })],
    ['an empty path', file('')],
    ['a path from the root', file('/a')],
    ['a path with an end', file('a/')],
    ['an empty component', file('a//b')],
    ['this folder', file('a/.')],
    ['the folder above', file('../a')],
    ['NUL', file('a\0')],
    ['a component of 256 bytes', file(`${'é'.repeat(127)}ab/x`)],
    ['a path of 4,097 bytes', file(`${'a/'.repeat(2048)}a`)],
    ['half a surrogate pair', file('\udc00')],
  ])('is not written: %s', async (_, entry) => {
    expect(await failure(() => encodeDescriptor(entry as Descriptor))).toBe('encoding');
  });

  test('larger than allowed is not written', async () => {
    const versions = Array.from({ length: 1024 }, () => ({ content: content() }));
    expect(encodeDescriptor(file('a', { versions })).length).toBeLessThan(MAX_DESCRIPTOR);
    expect(await failure(() => encodeDescriptor(file('a', { versions: [...versions, { content: content() }] })))).toBe(
      'encoding',
    );
    expect(await failure(() => decodeDescriptor(new Uint8Array(MAX_DESCRIPTOR + 1)))).toBe('encoding');
  });

  test('that was damaged is another one, or refused', async () => {
    const encoded = encodeDescriptor(file('a/b', all()));
    for (let at = 0; at < encoded.length; at++) {
      const damaged = flip(encoded, at, at % 8);
      const code = await failure(() =>
        expect(Buffer.compare(encodeDescriptor(decodeDescriptor(damaged)), damaged)).toBe(0),
      );
      expect([undefined, 'encoding']).toContain(code);
    }
  });
});

describe('a descriptor from elsewhere', () => {
  const whole = encodeDescriptor(file('a/b', { ...all(), executable: true }));

  test('is of that shape', async () => {
    // A time without its nanoseconds is one, nanoseconds without their time are none.
    const alone = ['4', '6', '7', '8', '9', '8/0/3'];
    await holdToShape(decodeDescriptor, whole, alone);
    const timeless = encodeDescriptor(file('a/b', { versions: [{ content: content(), mtime: 0 }], mtime: 0 }));
    await holdToShape(decodeDescriptor, timeless, ['5', '8', '8/0/2']);
    await holdToShape(decodeDescriptor, encodeDescriptor(folder('a')), []);
  });

  test.each<[string, Path, unknown]>([
    ['kind 0', [2], 0],
    ['kind 3', [2], 3],
    ['a file id of 17 bytes', [3, 1], random.bytes(17)],
    ['a revision id of 15 bytes', [3, 2], random.bytes(15)],
    ['a key of 33 bytes', [3, 3], random.bytes(33)],
    ['a commitment of 31 bytes', [3, 4], random.bytes(31)],
    ['a root of no bytes', [3, 5], random.bytes(0)],
    ['a negative size', [3, 6], -1],
    ['an empty media type', [4], ''],
    ['a media type of 129 bytes', [4], 'm'.repeat(129)],
    ['a media type with DEL', [4], 'a\x7f'],
    ['nanoseconds of a second', [6], 1_000_000_000],
    ['no nanoseconds, written', [6], 0],
    ['negative nanoseconds', [6], -1],
    ['no versions', [8], []],
    ['a version with a thumbnail', [8, 0, 9], 1],
    ['a version with nanoseconds alone', [8, 1, 3], 1],
    ['a version of negative size', [8, 1, 1, 6], -1],
    ['a thumbnail of negative size', [9, 6], -1],
    ['an empty path', [1], ''],
    ['a path that climbs', [1], 'a/../b'],
    ['a path with NUL', [1], 'a/\0'],
    ['a component of 256 bytes', [1], `a/${'é'.repeat(128)}`],
  ])('is refused with %s', async (_, path, value) => {
    const broken = encodingOf(put(treeOf(whole), path, value as Tree));
    expect(await failure(() => decodeDescriptor(broken))).toBe('encoding');
  });

  test.each<[string, Path, unknown]>([
    ['a component of 255 bytes', [1], `${'é'.repeat(127)}x/${'y'.repeat(255)}`],
    ['a path of 4,096 bytes', [1], `${'a/'.repeat(2047)}bc`],
    ['names that look like others', [1], '.../..a/C:\\con/\u202e/ /-'],
    ['a byte order mark', [1], '\ufeffa'],
    ['a media type of 128 bytes', [4], 'm'.repeat(128)],
    ['the earliest time', [5], -(2 ** 53) + 1],
    ['the latest time', [8, 0, 2], 2 ** 53 - 1],
    ['the last nanosecond', [6], 999_999_999],
    ['the greatest size', [3, 6], 2 ** 53 - 1],
  ])('is taken with %s', (_, path, value) => {
    const changed = encodingOf(put(treeOf(whole), path, value as Tree));
    expect(encodeDescriptor(decodeDescriptor(changed))).toEqual(changed);
  });
});

function all(): Partial<Descriptor> {
  return {
    mediaType: 'image/png',
    mtime: 1_700_000_000,
    mtimeNanos: 1,
    versions: [{ content: content(), mtime: -5, mtimeNanos: 7 }, { content: content(0) }],
    thumbnail: content(),
  };
}

describe('the order of paths', () => {
  test('is that of their bytes', () => {
    const letters = [
      '',
      'a',
      'b',
      '/',
      '!',
      '\0',
      '\x7f',
      'é',
      '\ud7ff',
      '\u{10000}',
      '\ue000',
      '\uffff',
      '😀',
      '\u{10ffff}',
    ] as const;
    const paths = Array.from({ length: 300 }, () => random.pick(letters) + random.pick(letters) + random.pick(letters));
    for (const a of paths) {
      for (const b of paths.slice(0, 40)) {
        expect(Math.sign(comparePaths(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }
    }
  });
});

/** Folders without anything, above which n others lie. */
function belowFolders(n: number): Descriptor[] {
  const entries: Descriptor[] = [];
  for (let left = n; left > 0; left -= MAX_DEPTH - 1) {
    entries.push(folder(`${entries.length}`.padStart(4, '0') + '/d'.repeat(Math.min(left, MAX_DEPTH - 1))));
  }
  return entries;
}

describe('a bundle', () => {
  const entries = [file('b/c'), folder('b'), file('a'), file('b!'), file('😀'), file('\uffff')];

  test('is sorted, and comes back', () => {
    const bundle = newBundle(entries, 'holiday');
    expect(bundle.entries.map(({ path }) => path)).toEqual(['a', 'b', 'b!', 'b/c', '\uffff', '😀']);
    expect(decodeBundle(encodeBundle(bundle))).toEqual(bundle);
    expect(newBundle(entries)).not.toHaveProperty('title');
  });

  test('from elsewhere is of that shape', async () => {
    const whole = encodeBundle(newBundle([folder('a'), file('a/b')], 'holiday'));
    await holdToShape(decodeBundle, whole, ['2']);
    const broken = (path: Path, value: unknown) => () =>
      decodeBundle(encodingOf(put(treeOf(whole), path, value as Tree)));
    for (const title of ['', '.', '..', 'a/b', 'a\0', 't'.repeat(256)]) {
      expect(await failure(broken([2], title)), title).toBe('encoding');
    }
    expect(await failure(broken([2], 't'.repeat(255)))).toBeUndefined();
    for (const path of ['a', 'a/b', '`', 'A'])
      expect(await failure(broken([1, 1, 1], path)), path).toBe(path === 'a/b' ? undefined : 'encoding');
    expect(await failure(broken([1], []))).toBe('encoding');
    expect(await failure(() => decodeBundle(new Uint8Array(MAX_BUNDLE + 1)))).toBe('encoding');
    // More entries than allowed are refused before the first is looked at.
    const stated = new Uint8Array(MAX_ENTRIES + 8);
    stated.set([0xa1, 0x01, 0x9a, 0x00, 0x04, 0x00, 0x01]);
    expect(await failure(() => decodeBundle(stated))).toBe('encoding');
  });

  test('says how many files are in it, and how large', () => {
    expect(totals(newBundle(entries))).toEqual({ files: 5, bytes: 25 });
  });

  test('of more than 2^53-1 bytes has no total', async () => {
    const most = Number.MAX_SAFE_INTEGER;
    const large = newBundle([file('a', { content: content(most) }), file('b', { content: content(1) })]);
    expect(await failure(() => totals(large))).toBe('encoding');
  });

  test('has paths of at most 128 components', async () => {
    const [deepest, deeper] = [`${'d/'.repeat(127)}e`, `${'d/'.repeat(128)}e`];
    const bundle = newBundle([file(deepest)]);
    expect(decodeBundle(encodeBundle(bundle))).toEqual(bundle);
    expect(await failure(() => encodeBundle(newBundle([file(deeper)])))).toBe('encoding');
    expect([deepest, deeper, 'a/../b', 'a'].map((path) => listedPathFault(path) === undefined)).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });

  test('has at most 262,144 folders above its entries', async () => {
    const bundle = newBundle(belowFolders(MAX_FOLDERS));
    expect(decodeBundle(encodeBundle(bundle)).entries.length).toBe(bundle.entries.length);
    expect(await failure(() => encodeBundle(newBundle(belowFolders(MAX_FOLDERS + 1))))).toBe('encoding');
    // Each folder counts once, also if others stand between what is in it and itself.
    const shared = Array.from({ length: 3000 }, (_, i) => folder(`a${'/d'.repeat(100)}/${i}`));
    expect(await failure(() => encodeBundle(newBundle([folder('a'), folder('a!'), ...shared])))).toBeUndefined();
  });

  test.each([
    ['without entries', { entries: [] }],
    ['out of order', { entries: [file('b'), file('a')] }],
    ['with one path twice', { entries: [file('a'), folder('a')] }],
    ['with a file below a file', { entries: [file('a'), file('a!'), file('a/b')] }],
    ['with a folder below a file', { entries: [file('a'), folder('a/b/c')] }],
    ['with an empty title', { entries: [file('a')], title: '' }],
    ['with a title that is a path', { entries: [file('a')], title: 'a/b' }],
    ['with a title of 256 bytes', { entries: [file('a')], title: 'é'.repeat(128) }],
  ])('is not written %s', async (_, bundle) => {
    expect(await failure(() => encodeBundle(bundle as Bundle))).toBe('encoding');
  });
});
