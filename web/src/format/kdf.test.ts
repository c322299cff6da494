import { hkdfSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { derive, deriveAesKey, deriveKey32, importKeyMaterial, info } from './kdf.ts';
import { fromHex, toHex } from './vectors/case.kit.ts';
import { Random } from './vectors/random.kit.ts';

test('derive is HKDF with SHA-256 (RFC 5869, cases 1 and 3)', async () => {
  const ikm = fromHex('0b'.repeat(22));
  const first = await derive(ikm, fromHex('000102030405060708090a0b0c'), fromHex('f0f1f2f3f4f5f6f7f8f9'), 42);
  expect(toHex(first)).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865');
  const third = await derive(ikm, undefined, new Uint8Array(0), 42);
  expect(toHex(third)).toBe('8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8');
});

test('derive agrees with another implementation', async () => {
  const random = new Random(5);
  for (let i = 0; i < 20; i++) {
    const [ikm, salt, context] = [random.bytes(32), random.bytes(random.below(64)), random.bytes(random.below(80))];
    const n = 1 + random.below(96);
    expect(Buffer.from(await derive(ikm, salt, context, n))).toEqual(
      Buffer.from(hkdfSync('sha256', ikm, salt, context, n)),
    );
  }
});

test('info is label, zero byte, ids', () => {
  expect(toHex(info('ab', fromHex('01'), fromHex('0203')))).toBe('616200010203');
});

test('a label parts keys that have all else in common', async () => {
  const ikm = new Uint8Array(32);
  expect(await deriveKey32(ikm, 'a')).not.toEqual(await deriveKey32(ikm, 'b'));
});

test('no key that was derived inside can be read back', async () => {
  const material = await importKeyMaterial(new Uint8Array(32));
  const key = await deriveAesKey(material, new Uint8Array(32), new Uint8Array(0));
  expect([material.extractable, key.extractable]).toEqual([false, false]);
  await expect(crypto.subtle.exportKey('raw', key)).rejects.toThrow();
});
