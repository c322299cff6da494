import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, test } from 'vitest';
import { Writer } from './cbor.ts';
import { envelopeFromText, MAX_ENVELOPE, openEnvelope, parseEnvelope, payloadDigest, signedBytes } from './envelope.ts';
import { keyId, toText } from './id.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { signEnvelope } from './vectors/signed.kit.ts';

const random = new Random(13);
const seed = random.bytes(32);
const publicKey = new Uint8Array(ed25519.getPublicKey(seed));
const other = new Uint8Array(ed25519.getPublicKey(random.bytes(32)));
const payload = random.bytes(50);
const envelope = await signEnvelope('receipt', seed, payload);

describe('an envelope', () => {
  test('opens under the key that signed it, one of several accepted', async () => {
    expect(await openEnvelope('receipt', [other, publicKey], envelope)).toEqual({ payload, publicKey });
  });

  test('of another type is refused, even one that names itself so', async () => {
    expect(await failure(() => openEnvelope('order', [publicKey], envelope))).toBe('envelope');
    const { keyId: id, signature } = parseEnvelope(envelope);
    expect(id).toEqual(await keyId(publicKey));
    const renamed = await signEnvelope('order', seed, payload);
    const at = Buffer.from(renamed).indexOf(Buffer.from(parseEnvelope(renamed).signature));
    renamed.set(signature, at);
    expect(await failure(() => openEnvelope('order', [publicKey], renamed))).toBe('signature');
  });

  test.each([0, 63, 65, 128])('with a signature of %d bytes is none', async (size) => {
    const { keyId: id, signature } = parseEnvelope(envelope);
    const made = (bytes: Uint8Array<ArrayBuffer>) => {
      const writer = new Writer();
      writer.map(4);
      writer.int(1);
      writer.text('receipt');
      for (const [key, value] of [
        [2, id],
        [3, payload],
        [4, bytes],
      ] as const) {
        writer.int(key);
        writer.bytes(value);
      }
      return writer.result();
    };
    expect(made(signature)).toEqual(envelope);
    const other = new Uint8Array(size).map((_, i) => signature[i] ?? 0);
    expect(await failure(() => openEnvelope('receipt', [publicKey], made(other)))).toBe('encoding');
  });

  test('under a key that is not accepted is refused', async () => {
    expect(await failure(() => openEnvelope('receipt', [other], envelope))).toBe('envelope');
    expect(await failure(() => openEnvelope('receipt', [], envelope))).toBe('envelope');
  });

  test('with any bit changed is refused', async () => {
    const codes = new Set<string | undefined>();
    for (let at = 0; at < envelope.length; at++) {
      const code = await failure(() => openEnvelope('receipt', [publicKey], flip(envelope, at, at % 8)));
      expect(['encoding', 'envelope', 'signature'], `byte ${at}`).toContain(code);
      codes.add(code);
    }
    expect(codes.size).toBe(3);
  });

  test('larger than allowed is refused before it is read', async () => {
    const most = MAX_ENVELOPE - (envelope.length - payload.length) - 1;
    const large = await signEnvelope('receipt', seed, new Uint8Array(most));
    expect(large).toHaveLength(MAX_ENVELOPE);
    expect((await openEnvelope('receipt', [publicKey], large)).payload).toHaveLength(most);
    expect(envelopeFromText(toText(large))).toEqual(large);
    const larger = await signEnvelope('receipt', seed, new Uint8Array(most + 1));
    expect(await failure(() => parseEnvelope(larger))).toBe('encoding');
    expect(await failure(() => openEnvelope('receipt', [publicKey], larger))).toBe('encoding');
  });

  test('has a type of at most 256 bytes, counted in UTF-8', async () => {
    for (const type of ['', 't'.repeat(256), 'é'.repeat(128)]) {
      const good = await signEnvelope(type, seed, payload);
      expect((await openEnvelope(type, [publicKey], good)).payload).toEqual(payload);
    }
    for (const type of ['t'.repeat(257), `${'é'.repeat(128)}t`]) {
      const long = await signEnvelope(type, seed, payload);
      expect(await failure(() => openEnvelope(type, [publicKey], long))).toBe('encoding');
    }
  });

  test('signs type and payload, parted', () => {
    expect(Buffer.from(signedBytes('a', payload))).toEqual(Buffer.concat([Buffer.from('holdfast/v1/a\0'), payload]));
  });
});

describe('the text of an envelope', () => {
  test('comes back', () => {
    expect(envelopeFromText(toText(envelope))).toEqual(envelope);
  });

  test.each(['A', 'AB', '+/AA', 'AA==', 'AA\nA', 'A'.repeat(90_000)])('is not %#', async (text) => {
    expect(await failure(() => envelopeFromText(text))).toBe('encoding');
  });
});

test('the digest is that of the payload as it is', async () => {
  const digest = await crypto.subtle.digest('SHA-256', payload);
  expect(await payloadDigest(envelope)).toEqual(new Uint8Array(digest));
});
