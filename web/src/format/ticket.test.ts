import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import { keyId, type NodeId } from './id.ts';
import { encodePayload, openDeclaration, openSigned, type Payloads } from './ticket.ts';
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
