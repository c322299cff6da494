import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  checkName,
  checkRoot,
  cuts,
  loadBlake3,
  MAX_BLOB,
  MAX_EXTENTS,
  MAX_PACKED,
  pieces,
  RootHasher,
  rootOf,
} from './blob.ts';
import { subtreeValue } from './chunk.ts';
import { pattern, toHex } from './vectors/case.kit.ts';
import { failure, flip } from './vectors/random.kit.ts';
import { toBytes } from './vectors/slice.kit.ts';

const blake3 = await loadBlake3();

describe('names', () => {
  test('are BLAKE3', () => {
    expect(toHex(blake3.hash(new Uint8Array(0)))).toBe(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    );
  });

  test('are the same by both of its implementations here, at every border of blocks, chunks and subtrees', () => {
    const edges = [
      0, 1, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 4096, 5000, 16384, 16385,
    ];
    for (const size of [...edges, 31744, 65537, 100_000]) {
      const data = pattern(size);
      expect(toHex(toBytes(subtreeValue(data, 0, true)))).toBe(toHex(blake3.hash(data)));
    }
  });

  test('tell other bytes', async () => {
    const data = pattern(5000);
    expect(await failure(() => checkName(blake3, data, blake3.hash(data)))).toBeUndefined();
    expect(await failure(() => checkName(blake3, flip(data, 4999), blake3.hash(data)))).toBe('name');
    expect(await failure(() => checkName(blake3, data.subarray(1), blake3.hash(data)))).toBe('name');
  });

  test('are hashed by one instance in each thread', async () => {
    expect(await loadBlake3()).toBe(blake3);
  });
});

test('the numbers are those of docs/format.md §5', () => {
  expect([MAX_BLOB, MAX_PACKED, MAX_EXTENTS]).toEqual([8_388_608, 1_048_576, 1_048_576]);
});

describe('BLAKE3', () => {
  // Of the test vectors that its authors publish: inputs of bytes that count from 0 to 250 and begin again.
  test.each([
    [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
    [1023, '10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11'],
    [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
    [1025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'],
    [2048, 'e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a'],
    [102_400, 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085'],
  ])('of %d bytes is that of its authors', (size, hex) => {
    expect(toHex(blake3.hash(new Uint8Array(size).map((_, i) => i % 251)))).toBe(hex);
  });

  test('begins anew each time, and gives bytes of its own', () => {
    const data = pattern(3000);
    const one = blake3.hash(data);
    const other = blake3.hash(data.subarray(1));
    expect(one).toHaveLength(32);
    expect(other).not.toEqual(one);
    expect(blake3.hash(data)).toEqual(one);
    one.fill(0);
    expect(toHex(blake3.hash(data))).not.toBe(toHex(one));
    expect(data).toEqual(pattern(3000));
  });

  test('reads a view as what it shows', () => {
    const data = pattern(500);
    expect(blake3.hash(data.subarray(100, 300))).toEqual(blake3.hash(data.slice(100, 300)));
  });
});

// The module keeps what it loaded, so that these load it anew, beside a package that fails.
describe('loading', () => {
  afterEach(() => {
    vi.doUnmock('hash-wasm/dist/blake3.umd.min.js');
    vi.resetModules();
  });

  test('that failed is told to all who wait, and tried again at the next call', async () => {
    let tries = 0;
    const made = { init: () => made, update: () => made, digest: () => new Uint8Array(32).fill(5) };
    const createBLAKE3 = vi.fn(async () => {
      if (++tries === 1) throw new TypeError('network');
      return made;
    });
    vi.doMock('hash-wasm/dist/blake3.umd.min.js', () => ({ default: { createBLAKE3 } }));
    vi.resetModules();
    const fresh = await import('./blob.ts');
    const both = await Promise.allSettled([fresh.loadBlake3(), fresh.loadBlake3()]);
    expect(both.map((r) => r.status)).toEqual(['rejected', 'rejected']);
    expect(createBLAKE3).toHaveBeenCalledTimes(1);
    const [one, two] = await Promise.all([fresh.loadBlake3(), fresh.loadBlake3()]);
    expect(one).toBe(two);
    expect(await fresh.loadBlake3()).toBe(one);
    expect(one.hash(new Uint8Array(1))).toEqual(new Uint8Array(32).fill(5));
    expect(createBLAKE3).toHaveBeenCalledTimes(2);
  });
});

describe('the root', () => {
  const names = [1, 2, 3].map((n) => blake3.hash(pattern(n)));

  test('does not depend on the order in which pieces are ready', () => {
    const hasher = new RootHasher(blake3, 3);
    for (const i of [2, 0, 1]) hasher.set(i, names[i] ?? new Uint8Array(0));
    expect(hasher.root()).toEqual(rootOf(blake3, names));
  });

  test('is not there before the last piece', () => {
    const hasher = new RootHasher(blake3, 3);
    hasher.set(0, names[0] ?? new Uint8Array(0));
    hasher.set(2, names[2] ?? new Uint8Array(0));
    expect(() => hasher.root()).toThrow('piece 1 is missing');
  });

  test('is BLAKE3 over the names, joined', () => {
    expect(rootOf(blake3, names)).toEqual(blake3.hash(new Uint8Array(Buffer.concat(names))));
    const many = Array.from({ length: 200 }, (_, i) => blake3.hash(pattern(i)));
    const hasher = new RootHasher(blake3, many.length);
    for (const [i, name] of [...many.entries()].reverse()) hasher.set(i, name);
    expect(hasher.root()).toEqual(blake3.hash(new Uint8Array(Buffer.concat(many))));
    expect(rootOf(blake3, many)).toEqual(hasher.root());
  });

  test('does not follow a name that changes after it was given', () => {
    const hasher = new RootHasher(blake3, 1);
    const name = blake3.hash(pattern(1));
    hasher.set(0, name);
    name.fill(0);
    expect(hasher.root()).toEqual(rootOf(blake3, names.slice(0, 1)));
  });

  test('takes a piece that comes again, as the last one said', () => {
    const hasher = new RootHasher(blake3, 2);
    for (const [i, name] of [
      [0, names[2]],
      [1, names[1]],
      [0, names[0]],
    ] as const) {
      hasher.set(i, name ?? new Uint8Array(0));
    }
    expect(hasher.root()).toEqual(rootOf(blake3, names.slice(0, 2)));
  });

  test('of as many pieces as a revision may have', async () => {
    const hasher = new RootHasher(blake3, MAX_EXTENTS);
    for (let i = 0; i < MAX_EXTENTS; i++) if (i !== 77) hasher.set(i, names[0] ?? new Uint8Array(0));
    expect(() => hasher.root()).toThrow('piece 77 is missing');
    for (const beyond of [MAX_EXTENTS, -1, 0.5]) {
      expect(() => hasher.set(beyond, new Uint8Array(32))).toThrow(RangeError);
    }
    for (const count of [-1, Number.NaN]) expect(await failure(() => new RootHasher(blake3, count))).toBe('length');
  });

  test('has no pieces beyond the last, nor names of other lengths', async () => {
    const hasher = new RootHasher(blake3, 1);
    expect(() => hasher.set(1, new Uint8Array(32))).toThrow(RangeError);
    expect(() => hasher.set(0, new Uint8Array(31))).toThrow(RangeError);
    for (const count of [0, MAX_EXTENTS + 1]) {
      expect(await failure(() => new RootHasher(blake3, count))).toBe('length');
    }
  });

  test('of another stream is refused', async () => {
    const root = rootOf(blake3, names);
    expect(await failure(() => checkRoot(root, root))).toBeUndefined();
    expect(await failure(() => checkRoot(root, rootOf(blake3, names.toReversed())))).toBe('root');
    expect(await failure(() => checkRoot(root, root.slice(0, 31)))).toBe('root');
  });
});

describe('cutting', () => {
  test.each([
    [1, [1]],
    [MAX_BLOB, [MAX_BLOB]],
    [MAX_BLOB + 1, [MAX_BLOB, 1]],
    [3 * MAX_BLOB - 1, [MAX_BLOB, MAX_BLOB, MAX_BLOB - 1]],
  ])('a stream of %d bytes', (length, expected) => {
    expect(cuts(length)).toEqual(expected);
    expect(Array.from(pieces(new Uint8Array(length)), (piece) => piece.length)).toEqual(expected);
  });

  test('the longest stream: 2^20 blobs, all of them full', () => {
    const lengths = cuts(MAX_EXTENTS * MAX_BLOB);
    expect(lengths).toHaveLength(MAX_EXTENTS);
    expect(new Set(lengths)).toEqual(new Set([MAX_BLOB]));
  });

  test('pieces are views of the stream, in its order', () => {
    const stream = new Uint8Array(MAX_BLOB + 5);
    stream.fill(1, MAX_BLOB);
    const [first, second] = [...pieces(stream)];
    expect([first?.buffer, second?.buffer]).toEqual([stream.buffer, stream.buffer]);
    expect([second?.byteOffset, ...(second ?? [])]).toEqual([MAX_BLOB, 1, 1, 1, 1, 1]);
    expect([...pieces(new Uint8Array(0))]).toEqual([]);
  });

  test.each([0, -1, Number.NaN, MAX_EXTENTS * MAX_BLOB + 1, 2 ** 53])('no stream of %d bytes', async (length) => {
    expect(await failure(() => cuts(length))).toBe('length');
  });
});
