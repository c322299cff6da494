import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import { keyId, type NodeId } from './id.ts';
import {
  checkReadTicket,
  checkUploadTicket,
  encodePayload,
  openDeclaration,
  openSigned,
  type Payloads,
  type ReadTicket,
  type UploadTicket,
  type Wanted,
} from './ticket.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { signEnvelope } from './vectors/signed.kit.ts';

const random = new Random(20);
const seed = random.bytes(32);
const publicKey: Bytes = new Uint8Array(ed25519.getPublicKey(seed));
const node: NodeId = await keyId(publicKey);

const receipt: Payloads['receipt'] = {
  upload: random.bytes(16),
  node,
  day: 20_000,
  blobs: [[random.bytes(32), 5]],
};
const declaration: Payloads['declaration'] = {
  publicKey,
  operator: 'Operator',
  jurisdiction: 'NZ',
  url: 'https://node.example:8443/a',
  capacity: 1,
  day: 20_000,
};

function sign<K extends keyof Payloads>(type: K, payload: Payloads[K], by = seed): Promise<Bytes> {
  return signEnvelope(type, by, encodePayload(type, payload));
}

// Row 24 of the threats: a receipt counts only when the node that it names signed it, whole.
describe('a receipt', () => {
  test('opens under the key of its node', async () => {
    expect(await openSigned('receipt', [publicKey], await sign('receipt', receipt))).toEqual(receipt);
  });

  test('of another node is refused, though that node signed it', async () => {
    const otherSeed = random.bytes(32);
    const other: Bytes = new Uint8Array(ed25519.getPublicKey(otherSeed));
    const envelope = await sign('receipt', receipt, otherSeed);
    expect(await failure(() => openSigned('receipt', [other], envelope))).toBe('envelope');
    expect(await failure(() => openSigned('receipt', [publicKey], envelope))).toBe('envelope');
  });

  test('is no other statement', async () => {
    const envelope = await sign('receipt', receipt);
    expect(await failure(() => openSigned('heartbeat', [publicKey], envelope))).toBe('envelope');
    const renamed = await signEnvelope('heartbeat', seed, encodePayload('receipt', receipt));
    expect(await failure(() => openSigned('heartbeat', [publicKey], renamed))).toBe('encoding');
  });

  test('with any bit of its payload changed is refused', async () => {
    const envelope = await sign('receipt', receipt);
    const payload = encodePayload('receipt', receipt);
    const start = Buffer.from(envelope).indexOf(Buffer.from(payload));
    for (let at = 0; at < payload.length; at += 3) {
      expect(await failure(() => openSigned('receipt', [publicKey], flip(envelope, start + at)))).toBe('signature');
    }
  });
});

describe('a declaration', () => {
  test('opens under its own key, and gives the node that id', async () => {
    expect(await openDeclaration(await sign('declaration', declaration))).toEqual({ node, declaration });
  });

  test('of a key that did not sign it is refused', async () => {
    const stranger = random.bytes(32);
    expect(await failure(async () => openDeclaration(await sign('declaration', declaration, stranger)))).toBe(
      'envelope',
    );
  });

  test('is nothing else', async () => {
    expect(await failure(async () => openDeclaration(await sign('receipt', receipt)))).toBe('envelope');
    expect(await failure(() => openDeclaration(random.bytes(100)))).toBe('encoding');
  });

  test.each([
    ['https://node.example', true],
    ['http://127.0.0.1:1', true],
    ['http://[::1]:65535/a/b', true],
    ['https://node.example:65536', false],
    ['https://node.example:0', false],
    ['https://user@node.example', false],
    ['https://node.example?a', false],
    ['https://node.example#a', false],
    ['javascript:alert(1)', false],
    ['https://node.example/\n', false],
    ['HTTPS://node.example', false],
    ['https://node.example/ä', false],
  ])('at %s: %s', async (url, good) => {
    expect(await failure(() => encodePayload('declaration', { ...declaration, url }))).toBe(
      good ? undefined : 'encoding',
    );
  });

  test.each([
    ['IS', true],
    ['XK', false],
    ['is', false],
    ['', false],
    ['DEU', false],
  ])('under the law of %s: %s', async (jurisdiction, good) => {
    const code = await failure(() => encodePayload('declaration', { ...declaration, jurisdiction }));
    expect(code).toBe(good ? undefined : 'encoding');
  });
});

describe('an upload ticket', () => {
  const [first, spare, stranger] = [random.bytes(16), random.bytes(16), random.bytes(16)];
  const url = 'https://n.example';
  const ticket: UploadTicket = {
    upload: random.bytes(16),
    chains: [
      [
        { node: random.bytes(16), url },
        { node: first, url },
      ],
      [
        { node: random.bytes(16), url },
        { node: random.bytes(16), url },
        { node: spare, url },
      ],
    ],
    budget: 1,
    expires: 1000,
  };

  test('is for any node of any of its chains, and no other', async () => {
    for (const at of [first, spare]) expect(await failure(() => checkUploadTicket(ticket, at, 0))).toBeUndefined();
    expect(await failure(() => checkUploadTicket(ticket, stranger, 0))).toBe('other-node');
    expect(await failure(() => checkUploadTicket(ticket, flip(first, 15), 0))).toBe('other-node');
  });

  test('is good for 60 seconds longer than it says, which is asked first', async () => {
    for (const now of [0, 1000, 1060])
      expect(await failure(() => checkUploadTicket(ticket, first, now))).toBeUndefined();
    for (const at of [first, stranger])
      expect(await failure(() => checkUploadTicket(ticket, at, 1061))).toBe('expired');
  });
});

describe('a read ticket', () => {
  const [upload, otherUpload, blob, otherBlob] = [16, 16, 32, 32].map((n) => random.bytes(n)) as [
    Bytes,
    Bytes,
    Bytes,
    Bytes,
  ];
  const ticket: ReadTicket = {
    nodes: [random.bytes(16), node],
    reads: [
      { upload: otherUpload, ranges: [[otherBlob, 0, 1000]] },
      {
        upload,
        ranges: [
          [blob, 100, 50],
          [blob, 150, 50],
          [otherBlob, 0, 10],
        ],
      },
    ],
    expires: 1000,
  };
  const reading =
    (wanted: Partial<Wanted>, at = node, now = 0) =>
    () =>
      checkReadTicket(ticket, at, { upload, blob, offset: 100, length: 50, ...wanted }, now);

  test.each<[string, Partial<Wanted>]>([
    ['all of a range', {}],
    ['its first byte', { length: 1 }],
    ['its last byte', { offset: 149, length: 1 }],
    ['another range', { offset: 150, length: 50 }],
    ['another blob of the upload', { blob: otherBlob, offset: 0, length: 10 }],
    ['another upload', { upload: otherUpload, blob: otherBlob, offset: 990, length: 10 }],
  ])('allows %s', async (_, wanted) => {
    expect(await failure(reading(wanted))).toBeUndefined();
  });

  test.each<[string, Partial<Wanted>]>([
    ['a byte before', { offset: 99 }],
    ['a byte more', { length: 51 }],
    ['two ranges that touch', { length: 100 }],
    ['nothing', { length: 0 }],
    ['less than nothing', { offset: 120, length: -5 }],
    ['a blob of another upload', { blob: otherBlob, offset: 0, length: 11 }],
    ['an upload that has not that blob', { upload: otherUpload }],
    ['a blob that is not listed', { blob: flip(blob, 31) }],
    ['an upload that is not listed', { upload: flip(upload, 0) }],
  ])('does not allow %s', async (_, wanted) => {
    expect(await failure(reading(wanted))).toBe('not-listed');
  });

  test('is asked for its time, then its nodes, then what it lists', async () => {
    const stranger = random.bytes(16);
    expect(await failure(reading({}, node, 1060))).toBeUndefined();
    expect(await failure(reading({ length: 0 }, stranger, 1061))).toBe('expired');
    expect(await failure(reading({ length: 0 }, stranger, 1060))).toBe('other-node');
    expect(await failure(reading({ length: 0 }, node, 1060))).toBe('not-listed');
  });
});
