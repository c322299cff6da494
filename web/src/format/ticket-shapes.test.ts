import { describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import { decodePayload, encodePayload, ORDER_ACTION, type Payloads } from './ticket.ts';
import { failure, Random } from './vectors/random.kit.ts';
import { at, encodingOf, holdToShape, type Path, put, type Tree, treeOf } from './vectors/tree.kit.ts';

// Every limit of docs/format.md §8, each broken alone: by a writer here, and in an encoding that comes from elsewhere.

const random = new Random(23);
const MAX_BLOB = 8 * 1024 * 1024;
const MOST = Number.MAX_SAFE_INTEGER;
const id = () => random.bytes(16);
const name = () => random.bytes(32);
const nodes = Array.from({ length: 17 }, id);
const places = nodes.map((node, i) => ({ node, url: `https://n${i}.example` }));
const blob = name();

const GOOD: { readonly [K in keyof Payloads]: readonly Payloads[K][] } = {
  'upload-ticket': [
    { upload: id(), chains: [places.slice(0, 2)], budget: 0, expires: 0 },
    { upload: id(), chains: Array.from({ length: 8 }, () => places.slice(0, 8)), budget: MOST, expires: MOST },
  ],
  'read-ticket': [
    { nodes: nodes.slice(0, 1), reads: [{ upload: id(), ranges: [[name(), 0, MAX_BLOB]] }], expires: 0 },
    {
      nodes: nodes.slice(0, 16),
      reads: Array.from({ length: 64 }, () => ({ upload: id(), ranges: [[blob, MAX_BLOB - 1, 1] as const] })),
      expires: MOST,
    },
    {
      nodes: nodes.slice(0, 2),
      reads: [{ upload: id(), ranges: Array.from({ length: 64 }, (_, i) => [blob, i, 1] as const) }],
      expires: 1,
    },
  ],
  receipt: [
    { upload: id(), node: id(), day: 0, blobs: [[name(), 1]] },
    { upload: id(), node: id(), day: MOST, blobs: Array.from({ length: 1024 }, () => [name(), MAX_BLOB] as const) },
  ],
  order: [
    { node: id(), epoch: 1, number: 1, action: ORDER_ACTION.deleteUpload, upload: id(), day: 0 },
    { node: id(), epoch: MOST, number: MOST, action: ORDER_ACTION.deleteBlobs, upload: id(), blobs: [name()], day: 5 },
    {
      ...{ node: id(), epoch: 1, number: 2, action: ORDER_ACTION.deleteBlobs, upload: id(), day: 5 },
      blobs: Array.from({ length: 1024 }, name),
    },
    {
      ...{ node: id(), epoch: 2, number: 3, action: ORDER_ACTION.repack, upload: id(), day: 5, blobs: [blob] },
      keep: [
        [blob, 0, 5],
        [blob, 5, 5],
        [blob, MAX_BLOB - 1, 1],
      ],
    },
  ],
  'order-receipt': [1, 2].map((outcome) => ({
    ...{ node: id(), epoch: 0, number: MOST, outcome, blobs: 0, bytes: MOST, day: 0, order: name() },
  })),
  declaration: [
    { publicKey: name(), operator: 'O', jurisdiction: 'DE', url: 'http://a', capacity: 0, day: 0 },
    {
      ...{ publicKey: name(), operator: 'é'.repeat(64), jurisdiction: 'IS', capacity: MOST, day: MOST, site: 'NZ' },
      ...{ url: `https://h/${'p'.repeat(246)}`, parent: 'p'.repeat(256), storage: 's'.repeat(256) },
    },
  ],
  heartbeat: [0, 1].map((state) => ({
    ...{ node: id(), time: 0, used: MOST, capacity: 0, state, epoch: 0, number: 0, nonce: id() },
    program: 'v'.repeat(256 * state),
  })),
};

/** Keys that may be left out of the last good payload of each type. */
const OPTIONAL: { readonly [K in keyof Payloads]?: readonly string[] } = { declaration: ['7', '8', '9'] };

const TYPES = Object.keys(GOOD) as (keyof Payloads)[];

function encodeGood(type: keyof Payloads, i: number): Bytes {
  return encodePayload(type, GOOD[type].at(i) as never);
}

describe.each(TYPES)('a payload of type %s', (type) => {
  test('comes back, with the least and the most in it', () => {
    GOOD[type].forEach((payload, i) => {
      expect(decodePayload(type, encodeGood(type, i))).toEqual(payload);
    });
  });

  test('is of that shape', async () => {
    await holdToShape((encoded) => decodePayload(type, encoded), encodeGood(type, type === 'receipt' ? 0 : -1), [
      ...(OPTIONAL[type] ?? []),
    ]);
  });
});

type Breach = readonly [type: keyof Payloads, what: string, good: number, path: Path, value: unknown];

const list = (n: number, of: (i: number) => unknown): unknown[] => Array.from({ length: n }, (_, i) => of(i));
const treeOfPlace = (i: number): unknown =>
  new Map<number, unknown>([
    [1, nodes[i]],
    [2, `https://n${i}.example`],
  ]);

const BREACHES: readonly Breach[] = [
  ['upload-ticket', 'an upload id of 15 bytes', 0, [1], random.bytes(15)],
  ['upload-ticket', 'no chain', 0, [2], []],
  ['upload-ticket', 'nine chains', 0, [2], list(9, () => [treeOfPlace(0), treeOfPlace(1)])],
  ['upload-ticket', 'a chain of one', 0, [2, 0], [treeOfPlace(0)]],
  ['upload-ticket', 'a chain of nine', 0, [2, 0], list(9, treeOfPlace)],
  ['upload-ticket', 'a node twice in a chain', 0, [2, 0, 1, 1], nodes[0]],
  ['upload-ticket', 'a URL of another scheme', 0, [2, 0, 1, 2], 'ftp://n.example'],
  ['upload-ticket', 'a negative budget', 0, [3], -1],
  ['upload-ticket', 'a negative expiry', 0, [4], -1],
  ['read-ticket', 'no nodes', 0, [1], []],
  ['read-ticket', '17 nodes', 0, [1], nodes],
  ['read-ticket', 'no uploads', 0, [2], []],
  ['read-ticket', 'no ranges', 0, [2, 0, 2], []],
  ['read-ticket', '65 ranges', 0, [2, 0, 2], list(65, (i) => [blob, i, 1])],
  ['read-ticket', 'an empty range', 0, [2, 0, 2, 0, 2], 0],
  ['read-ticket', 'a range before the blob', 0, [2, 0, 2, 0, 1], -1],
  ['read-ticket', 'a range that ends one byte too late', 0, [2, 0, 2, 0, 1], 1],
  ['read-ticket', 'a range behind every blob', 0, [2, 0, 2, 0], [blob, MAX_BLOB, 1]],
  ['read-ticket', 'a range whose end is no integer', 0, [2, 0, 2, 0], [blob, MOST, MOST]],
  ['read-ticket', 'a range of two values', 0, [2, 0, 2, 0], [blob, 0]],
  ['read-ticket', 'a range of four values', 0, [2, 0, 2, 0], [blob, 0, 1, 1]],
  ['read-ticket', 'a blob name of 31 bytes', 0, [2, 0, 2, 0, 0], random.bytes(31)],
  ['receipt', 'no blobs', 0, [4], []],
  ['receipt', '1,025 blobs', 0, [4], list(1025, () => [name(), 1])],
  ['receipt', 'a blob twice', 0, [4], list(2, () => [blob, 1])],
  ['receipt', 'an empty blob', 0, [4, 0, 1], 0],
  ['receipt', 'a blob of one byte too many', 0, [4, 0, 1], MAX_BLOB + 1],
  ['receipt', 'a negative day', 0, [3], -1],
  ['order', 'epoch 0', 0, [2], 0],
  ['order', 'number 0', 0, [3], 0],
  ['order', 'action 0', 0, [4], 0],
  ['order', 'action 4', 1, [4], 4],
  ['order', 'an upload to delete, with blobs', 0, [6], [name()]],
  ['order', 'an upload to delete, with extents', 0, [7], [[blob, 0, 1]]],
  ['order', 'blobs to delete, and none named', 1, [6], []],
  ['order', 'blobs to delete, and 1,025 named', 1, [6], list(1025, name)],
  ['order', 'blobs to delete, and one twice', 1, [6], [blob, blob]],
  ['order', 'blobs to delete, with extents', 1, [7], [[blob, 0, 1]]],
  ['order', 'repack without blob', 3, [6], undefined],
  ['order', 'repack of two blobs', 3, [6], [blob, name()]],
  ['order', 'repack without extents', 3, [7], undefined],
  ['order', 'repack to nothing', 3, [7], []],
  ['order', 'repack to 1,025 extents', 3, [7], list(1025, (i) => [blob, i, 1])],
  ['order', 'repack of an extent of another blob', 3, [7, 1, 0], name()],
  ['order', 'repack of extents that overlap by a byte', 3, [7, 1, 1], 4],
  [
    'order',
    'repack of extents out of order',
    3,
    [7],
    [
      [blob, 5, 5],
      [blob, 0, 5],
    ],
  ],
  ['order', 'repack of an empty extent', 3, [7, 0, 2], 0],
  ['order', 'repack of an extent that ends one byte too late', 3, [7, 2, 2], 2],
  ['order-receipt', 'outcome 0', 0, [4], 0],
  ['order-receipt', 'outcome 3', 0, [4], 3],
  ['order-receipt', 'a negative epoch', 0, [2], -1],
  ['order-receipt', 'a digest of 33 bytes', 0, [8], random.bytes(33)],
  ['declaration', 'a key of 31 bytes', 0, [1], random.bytes(31)],
  ['declaration', 'no operator', 0, [2], ''],
  ['declaration', 'an operator of 129 bytes', 0, [2], `${'é'.repeat(64)}o`],
  ['declaration', 'a jurisdiction in lower case', 0, [3], 'de'],
  ['declaration', 'a site in a country that is none', 1, [8], 'XK'],
  ['declaration', 'a URL of 257 bytes', 0, [4], `https://h/${'p'.repeat(247)}`],
  ['declaration', 'an empty parent company', 0, [7], ''],
  ['declaration', 'a parent company of 257 bytes', 1, [7], 'p'.repeat(257)],
  ['declaration', 'an empty storage provider', 0, [9], ''],
  ['declaration', 'a storage provider of 257 bytes', 1, [9], 's'.repeat(257)],
  ['heartbeat', 'state 2', 0, [5], 2],
  ['heartbeat', 'a version of 257 bytes', 0, [8], 'v'.repeat(257)],
  ['heartbeat', 'a nonce of 17 bytes', 0, [9], random.bytes(17)],
];

describe('refused in a payload', () => {
  test.each(BREACHES)('%s: %s', async (type, _, good, path, value) => {
    const tree = treeOf(encodeGood(type, good));
    expect(await failure(() => decodePayload(type, encodingOf(tree)))).toBeUndefined();
    const broken = put(tree, path, value as Tree | undefined);
    if (value !== undefined) expect(at(broken, path)).toEqual(value);
    expect(await failure(() => decodePayload(type, encodingOf(broken)))).toBe('encoding');
  });

  test('larger than an envelope, before it is looked at', async () => {
    expect(await failure(() => decodePayload('receipt', new Uint8Array(64 * 1024 + 1)))).toBe('encoding');
    const blobs = Array.from({ length: 1024 }, (): [Bytes, number] => [name(), 1]);
    const most = { upload: id(), node: id(), day: 0, blobs };
    expect(encodePayload('receipt', most).length).toBeLessThan(64 * 1024);
  });

  test.each([
    ...['http://', 'https:///a', '//a.example', 'a.example', 'https://a.example:', 'https://a.example:123456'],
    ...['https://a.example:08o', 'https://a b', 'https://a.example/a b', 'https://a.example\\b', 'https://a_b.example'],
    ...['https://[]', 'https://[::1', 'https://::1', 'https://[:]', 'https://[1:2]', 'https://[1::2::3]'],
    ...[
      'https://[1:2:3:4:5:6:7:8:9]',
      'https://[127.0.0.1]',
      'https://[::1%25eth0]',
      'https://[::g]',
      'https://[::1]a',
    ],
    ...['https://a.example\n', '\nhttps://a.example', 'https://a.example/"', 'https://a.example/<', ''],
  ])('the URL %j', async (url) => {
    const declaration = { ...GOOD.declaration[0], url } as Payloads['declaration'];
    expect(await failure(() => encodePayload('declaration', declaration))).toBe('encoding');
  });

  test.each([
    ...['https://a', 'http://A.b-c.9', 'https://a.example/', 'https://a.example:1', 'https://a.example:00080/'],
    ...["https://a/._~!$&'()*+,;=:@%/-aZ0", 'https://[::]', 'https://[2001:DB8::1]:65535/x', 'https://[::192.0.2.1]'],
    ...['https://[1:2:3:4:5:6:7:8]', 'https://192.0.2.1'],
  ])('but not the URL %j', async (url) => {
    const declaration = { ...GOOD.declaration[0], url } as Payloads['declaration'];
    expect(await failure(() => encodePayload('declaration', declaration))).toBeUndefined();
  });
});
