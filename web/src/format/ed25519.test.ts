import { ed25519 } from '@noble/curves/ed25519.js';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Bytes } from './bytes.ts';
import { isHonestPoint, verify, verifyBy, verifyInScript } from './ed25519.ts';
import { fromHex } from './vectors/case.kit.ts';
import { flip, Random } from './vectors/random.kit.ts';

const random = new Random(12);
const seed = random.bytes(32);
const publicKey = new Uint8Array(ed25519.getPublicKey(seed));
const message = random.bytes(100);
const signature = new Uint8Array(ed25519.sign(message, seed));

const WAYS = [
  ['by the engine', verify],
  ['by script', verifyInScript],
] as const;

/** The signature's s with the group's order added: the same number, in a form that nobody may accept. */
function malleated(original: Bytes): Bytes {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  let s = Buffer.from(original.subarray(32)).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n) + order;
  const out = original.slice();
  for (let i = 32; i < 64; i++, s >>= 8n) out[i] = Number(s & 255n);
  return out;
}

describe.each(WAYS)('a signature checked %s', (_, check) => {
  test('of RFC 8032 holds (§7.1, tests 1 and 3)', async () => {
    const first = fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    const firstSignature = fromHex(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
    expect(await check(first, firstSignature, new Uint8Array(0))).toBe(true);
    const third = fromHex('fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025');
    const thirdSignature = fromHex(
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    );
    expect(await check(third, thirdSignature, fromHex('af82'))).toBe(true);
  });

  test('holds, and with any bit changed does not', async () => {
    expect(await check(publicKey, signature, message)).toBe(true);
    for (let at = 0; at < 64; at += 3) {
      expect(await check(publicKey, flip(signature, at, at % 8), message), `byte ${at}`).toBe(false);
    }
    expect(await check(publicKey, signature, flip(message, 5))).toBe(false);
    expect(await check(publicKey, signature, message.slice(1))).toBe(false);
    for (let at = 0; at < 32; at += 5) expect(await check(flip(publicKey, at), signature, message)).toBe(false);
  });

  test('does not hold in another form of the same numbers', async () => {
    expect(await check(publicKey, malleated(signature), message)).toBe(false);
  });
});

describe('by script', () => {
  const neutral = new Uint8Array(32);
  neutral[0] = 1;
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const withS = (s: bigint): Bytes => {
    const out = new Uint8Array(64);
    out.set(neutral);
    for (let i = 32; i < 64; i++, s >>= 8n) out[i] = Number(s & 255n);
    return out;
  };

  // Under the neutral key R is s times the base point, so that s = 0 has many forms, of which one is canonical.
  test('s counts in one form only: below the order', async () => {
    expect(await verifyInScript(neutral, withS(0n), message)).toBe(true);
    for (const s of [order, 2n * order, 8n * order]) {
      expect(await verifyInScript(neutral, withS(s), message), `s = ${s}`).toBe(false);
    }
  });

  test('agrees with the engine on what is honest and what is damaged', async () => {
    for (let i = 0; i < 8; i++) {
      const key = random.bytes(32);
      const text = random.bytes(random.below(200));
      const pub = new Uint8Array(ed25519.getPublicKey(key));
      const good = new Uint8Array(ed25519.sign(text, key));
      const bad = flip(good, random.below(63), random.below(8));
      for (const [given, holds] of [
        [good, true],
        [bad, false],
      ] as const) {
        expect([await verify(pub, given, text), await verifyInScript(pub, given, text)]).toEqual([holds, holds]);
      }
    }
  });
});

// The module chooses once, so that each test loads it anew.
describe('which way is taken', () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.resetModules();
  });
  const fresh = async (): Promise<typeof import('./ed25519.ts')> => {
    vi.resetModules();
    return import('./ed25519.ts');
  };

  test('the engine’s, where it has Ed25519, which is asked with the base point and once', async () => {
    const imported = vi.spyOn(crypto.subtle, 'importKey');
    const verified = vi.spyOn(crypto.subtle, 'verify');
    const module = await fresh();
    for (let i = 0; i < 3; i++) expect(await module.verify(publicKey, signature, message)).toBe(true);
    const keys = imported.mock.calls.map(([, key]) => Buffer.from(key as unknown as Bytes).toString('hex'));
    const base = Buffer.from(ed25519.Point.BASE.toBytes()).toString('hex');
    const own = Buffer.from(publicKey).toString('hex');
    expect(keys).toEqual([base, own, own, own]);
    expect(verified).toHaveBeenCalledTimes(3);
  });

  test('the script’s, where the engine has none', async () => {
    const none = new DOMException('Unrecognized name', 'NotSupportedError');
    vi.spyOn(crypto.subtle, 'importKey').mockRejectedValue(none);
    const verified = vi.spyOn(crypto.subtle, 'verify');
    const module = await fresh();
    expect(await module.verify(publicKey, signature, message)).toBe(true);
    expect(await module.verify(publicKey, flip(signature, 40), message)).toBe(false);
    expect(verified).not.toHaveBeenCalled();
  });

  test('a key that the engine does not take is no key', async () => {
    const module = await fresh();
    expect(await module.verify(publicKey, signature, message)).toBe(true);
    vi.spyOn(crypto.subtle, 'importKey').mockRejectedValue(new DOMException('no point', 'DataError'));
    expect(await module.verify(publicKey, signature, message)).toBe(false);
  });

  test('the engine’s word is what counts, either way', async () => {
    const module = await fresh();
    for (const word of [true, false]) {
      vi.spyOn(crypto.subtle, 'verify').mockResolvedValue(word);
      expect(await module.verify(publicKey, signature, message)).toBe(word);
    }
  });
});

describe('points', () => {
  const point = (parts: Record<number, number>, fill: number): Bytes => {
    const out = new Uint8Array(32).fill(fill);
    for (const [at, byte] of Object.entries(parts)) out[Number(at)] = byte;
    return out;
  };

  test.each([
    ['with one byte of 255 within', point({ 0: 0xff, 7: 0xff, 31: 0x7f }, 3)],
    ['with its lower half full', point({ 0: 0xff, 20: 0xfe, 31: 0x7f }, 0xff)],
    ['with all but its byte 1 full', point({ 1: 0xfe, 31: 0x7f }, 0xff)],
    ['with all but its byte 30 full', point({ 30: 0xfe, 31: 0x7f }, 0xff)],
    ['with all but its highest byte full', point({ 31: 0x7e }, 0xff)],
    ['whose lowest byte alone is small', point({ 0: 0xeb, 31: 0x7f }, 0xff)],
    ['of y = 2', point({ 0: 2 }, 0)],
  ])('%s are below 2^255-19, with either sign', (_, y) => {
    const before = y.slice();
    expect(isHonestPoint(y)).toBe(true);
    expect(isHonestPoint(flip(y, 31, 7))).toBe(true);
    expect(y).toEqual(before); // asking changes nothing
  });

  test('of small order are refused with either sign', () => {
    for (const hex of [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    ]) {
      const weak = fromHex(hex);
      expect([weak, flip(weak, 31, 7)].map(isHonestPoint)).toEqual([false, false]);
    }
  });
});

describe('refused before anybody is asked', () => {
  test.each([
    [31, 64],
    [33, 64],
    [0, 64],
    [32, 63],
    [32, 65],
    [32, 0],
  ])('a key of %d and a signature of %d bytes', async (key, size) => {
    const asked = vi.fn(async () => true);
    const given = new Uint8Array(size).map((_, i) => signature[i] ?? 7);
    expect(await verifyBy(asked, new Uint8Array(key).fill(9), given, message)).toBe(false);
    expect(asked).not.toHaveBeenCalled();
  });

  test.each([0, 31, 33, 64])('a key of %d bytes', async (size) => {
    expect(await verify(new Uint8Array(size), signature, message)).toBe(false);
  });

  test.each([0, 63, 65])('a signature of %d bytes', async (size) => {
    expect(await verify(publicKey, new Uint8Array(size), message)).toBe(false);
  });

  // Under a key of small order one signature holds for one message in eight, or for all.
  test('a key or a commitment of small order', async () => {
    const zero = new Uint8Array(64);
    zero[0] = 1; // R is the neutral point, s is 0
    const neutral = new Uint8Array(32);
    neutral[0] = 1;
    expect(await verifyInScript(neutral, zero, message)).toBe(true); // which is why it is not asked
    expect(await verifyBy(verifyInScript, neutral, zero, message)).toBe(false);
    expect(await verify(neutral, zero, message)).toBe(false);
    const anything = async (): Promise<boolean> => true;
    expect(await verifyBy(anything, publicKey, signature, message)).toBe(true);
    const { Point } = ed25519;
    const eighth = Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a');
    expect(eighth.isSmallOrder()).toBe(true);
    expect(isHonestPoint(publicKey)).toBe(true);
    let point = eighth;
    for (let i = 0; i < 8; i++) {
      const weak = new Uint8Array(point.toBytes());
      expect(isHonestPoint(weak)).toBe(false);
      expect(await verifyBy(anything, weak, signature, message)).toBe(false);
      const weakly = new Uint8Array([...weak, ...signature.subarray(32)]);
      expect(await verifyBy(anything, publicKey, weakly, message)).toBe(false);
      point = point.add(eighth);
    }
  });

  test('a key that is not in canonical form', async () => {
    for (const low of [0xed, 0xee, 0xff]) {
      for (const high of [0x7f, 0xff]) {
        const key = new Uint8Array(32).fill(0xff);
        key[0] = low;
        key[31] = high;
        expect(isHonestPoint(key)).toBe(false);
        expect(await verify(key, signature, message)).toBe(false);
      }
    }
  });

  test('32 bytes that are no point', async () => {
    for (let i = 0; i < 20; i++) {
      const key = random.bytes(32);
      expect(await verify(key, signature, message)).toBe(false);
      expect(await verifyInScript(key, signature, message)).toBe(false);
    }
  });
});
