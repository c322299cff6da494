import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { derive, deriveAesKey, deriveKey32, importKeyMaterial, info, LABEL } from './kdf.ts';
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

test('the labels are those of docs/format.md', () => {
  expect(LABEL).toEqual({
    contentKey: 'holdfast/v1/content-key',
    content: 'holdfast/v1/content',
    commit: 'holdfast/v1/commit',
    linkFinal: 'holdfast/v1/link-final',
    linkAuth: 'holdfast/v1/link-auth',
    linkRecord: 'holdfast/v1/link-record',
    childWrite: 'holdfast/v1/child-write-key',
    childAdmin: 'holdfast/v1/child-admin-key',
    identitySign: 'holdfast/v1/identity-sign',
    identityBox: 'holdfast/v1/identity-box',
    rootFolder: 'holdfast/v1/root-folder',
    rootRead: 'holdfast/v1/root-read',
    rootWrite: 'holdfast/v1/root-write',
    rootAdmin: 'holdfast/v1/root-admin',
    headsFolder: 'holdfast/v1/heads-folder',
    headsRead: 'holdfast/v1/heads-read',
    headsWrite: 'holdfast/v1/heads-write',
    headsAdmin: 'holdfast/v1/heads-admin',
    settings: 'holdfast/v1/settings',
    wrapPassword: 'holdfast/v1/wrap-password',
    wrapPhrase: 'holdfast/v1/wrap-phrase',
    wrapPasskey: 'holdfast/v1/wrap-passkey',
    phraseAuth: 'holdfast/v1/phrase-auth',
    message: 'holdfast/v1/message',
    driveLinks: 'holdfast/v1/drive-links',
  });
  // None begins another with its zero byte, so that no two derivations share an info.
  const infos = Object.values(LABEL).map((label) => `${label}\0`);
  for (const a of infos) expect(infos.filter((b) => b.startsWith(a))).toEqual([a]);
});

test('derive gives 32 bytes where no length is named, and takes bytes and keys alike', async () => {
  const random = new Random(6);
  const [ikm, salt, context] = [random.bytes(32), random.bytes(32), random.bytes(20)];
  const want = new Uint8Array(hkdfSync('sha256', ikm, salt, context, 32));
  expect(await derive(ikm, salt, context)).toEqual(want);
  expect(await derive(await importKeyMaterial(ikm), salt, context)).toEqual(want);
  expect(await derive(ikm, salt, context, 16)).toEqual(want.slice(0, 16));
  expect(await derive(ikm, salt, context, 64)).not.toEqual(await derive(ikm, undefined, context, 64));
});

test('derive leaves what it is given as it is', async () => {
  const random = new Random(7);
  const given = [random.bytes(32), random.bytes(32), random.bytes(20)] as const;
  const before = given.map(toHex);
  await derive(...given);
  expect(given.map(toHex)).toEqual(before);
});

test('a key of 32 bytes is HKDF without salt over label and ids', async () => {
  const random = new Random(8);
  const [ikm, handle, other] = [random.bytes(64), random.bytes(16), random.bytes(16)];
  for (const ids of [[], [handle], [handle, other], [other, handle]]) {
    const context = Buffer.concat([Buffer.from('a-label\0'), ...ids]);
    const want = new Uint8Array(hkdfSync('sha256', ikm, Buffer.alloc(0), context, 32));
    expect(await deriveKey32(ikm, 'a-label', ...ids)).toEqual(want);
    expect(await deriveKey32(await importKeyMaterial(ikm), 'a-label', ...ids)).toEqual(want);
  }
});

test('a key derived inside the engine is the one that HKDF gives, of 256 bits', async () => {
  const random = new Random(9);
  for (const [saltSize, contextSize] of [
    [32, 51],
    [0, 51],
    [32, 0],
  ] as const) {
    const [ikm, salt, context] = [random.bytes(32), random.bytes(saltSize), random.bytes(contextSize)];
    const inside = await deriveAesKey(await importKeyMaterial(ikm), salt, context);
    expect(inside.algorithm).toMatchObject({ name: 'AES-GCM', length: 256 });
    expect([...inside.usages].sort()).toEqual(['decrypt', 'encrypt']);
    const outside = Buffer.from(hkdfSync('sha256', ikm, salt, context, 32));
    const [iv, text] = [random.bytes(12), random.bytes(100)];

    const sealed = Buffer.from(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, inside, text));
    const decipher = createDecipheriv('aes-256-gcm', outside, iv);
    decipher.setAuthTag(sealed.subarray(-16));
    const opened = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    expect(toHex(opened)).toBe(toHex(text));

    const cipher = createCipheriv('aes-256-gcm', outside, iv);
    const other = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    expect(toHex(other)).toBe(toHex(sealed));
  }
});

test('info is label, zero byte, ids', () => {
  expect(toHex(info('ab', fromHex('01'), fromHex('0203')))).toBe('616200010203');
  expect(toHex(info('ab', fromHex('0203'), fromHex('01')))).toBe('616200020301');
  expect(toHex(info('ab'))).toBe('616200');
  expect(toHex(info('ü'))).toBe('c3bc00');
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
