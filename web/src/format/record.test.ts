import { createCipheriv, hkdfSync } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Bytes } from './bytes.ts';
import { deriveRecordKey, MAX_RECORD, openRecord, RECORD_OVERHEAD, sealRecord } from './record.ts';
import { toHex } from './vectors/case.kit.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';

const random = new Random(10);
const under = { purposeKey: random.bytes(32), type: 'test', aad: random.bytes(16) };
const plaintext = random.bytes(100);
const record = await sealRecord(under, plaintext);

/** A record by node:crypto, from docs/format.md §6. */
function sealedElsewhere(type: string, purposeKey: Bytes, aad: Bytes, salt: Bytes, text: Bytes): Buffer {
  const info = Buffer.concat([Buffer.from(`holdfast/v1/${type}\0`), aad]);
  const both = Buffer.from(hkdfSync('sha256', purposeKey, salt, info, 64));
  const cipher = createCipheriv('aes-256-gcm', both.subarray(0, 32), Buffer.alloc(12));
  const sealed = [cipher.update(text), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([Buffer.of(1), salt, both.subarray(32), ...sealed]);
}

describe('the bytes of a record', () => {
  test('are what node:crypto makes of docs/format.md', async () => {
    for (let i = 0; i < 30; i++) {
      const type = random.pick(['link', 'journal', 'x', '']);
      const [purposeKey, aad, salt] = [random.bytes(32), random.bytes(random.below(50)), random.bytes(32)];
      const text = random.bytes(random.below(300));
      const want = sealedElsewhere(type, purposeKey, aad, salt, text);
      expect(toHex(await sealRecord({ purposeKey, type, aad }, text, 1000, salt))).toBe(toHex(want));
      expect(await openRecord({ purposeKey, type, aad }, new Uint8Array(want), 1000)).toEqual(text);
    }
  });

  test('begin with version, salt and C', async () => {
    const { key, commitment } = await deriveRecordKey(under, record.slice(1, 33));
    expect([record[0], commitment.length, key.length]).toEqual([1, 32, 32]);
    expect(record.slice(33, 65)).toEqual(commitment);
    expect(key).not.toEqual(commitment);
    expect(RECORD_OVERHEAD).toBe(81);
    expect(MAX_RECORD).toBe(1_048_576);
  });

  test('never come twice, whatever is sealed', async () => {
    const drawn = await Promise.all(Array.from({ length: 40 }, () => sealRecord(under, plaintext)));
    expect(new Set(drawn.map((r) => toHex(r.slice(1, 33)))).size).toBe(40);
    expect(new Set(drawn.map((r) => toHex(r.slice(65)))).size).toBe(40);
  });
});

describe('the key of a record', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test.each([
    ['sealing', () => sealRecord(under, plaintext), 'encrypt'],
    ['opening', () => openRecord(under, record), 'decrypt'],
  ])('is wiped after %s, serves for nothing else, and cannot be read back', async (_, work, use) => {
    const imported = vi.spyOn(crypto.subtle, 'importKey');
    const before = toHex(under.purposeKey);
    await work();
    const calls = imported.mock.calls.filter(([, , algorithm]) => algorithm === 'AES-GCM');
    expect(calls.map(([, , , extractable, uses]) => [extractable, uses])).toEqual([[false, [use]]]);
    expect(calls.map(([, key]) => toHex(key as unknown as Bytes))).toEqual(['00'.repeat(32)]);
    expect(toHex(under.purposeKey)).toBe(before);
  });
});

describe('the size of a record', () => {
  test.each([81, 82, 1000])('of at most %d bytes', async (max) => {
    const most = await sealRecord(under, new Uint8Array(max - RECORD_OVERHEAD), max);
    expect(most).toHaveLength(max);
    expect(await openRecord(under, most, max)).toHaveLength(max - RECORD_OVERHEAD);
    expect(await failure(() => openRecord(under, most, max - 1))).toBe('record');
    expect(await failure(() => sealRecord(under, new Uint8Array(max - RECORD_OVERHEAD + 1), max))).toBe('record');
    const larger = await sealRecord(under, new Uint8Array(max - RECORD_OVERHEAD + 1));
    expect(await failure(() => openRecord(under, larger, max))).toBe('record');
  });

  test('is looked at before any key is derived', async () => {
    const derived = vi.spyOn(crypto.subtle, 'deriveBits');
    for (const size of [0, 80, MAX_RECORD + 1]) {
      expect(await failure(() => openRecord(under, new Uint8Array(size).fill(1)))).toBe('record');
    }
    expect(await failure(() => sealRecord(under, new Uint8Array(MAX_RECORD)))).toBe('record');
    expect(derived).not.toHaveBeenCalled();
    derived.mockRestore();
  });
});

describe('what is checked of a record, in its order', () => {
  const other = { ...under, purposeKey: flip(under.purposeKey, 3) };
  const damaged = flip(record, record.length - 1);
  test.each([
    ['version', other, flip(damaged, 0).slice(0, 70)],
    ['record', other, damaged.slice(0, 80)],
    ['commitment', other, damaged],
    ['record', under, damaged],
    [undefined, under, record],
  ] as const)('%s hides what comes after it', async (code, key, bytes) => {
    expect(await failure(() => openRecord(key, bytes))).toBe(code);
  });

  test('a version of 0 or of 2 is none that is known, even alone', async () => {
    for (const version of [0, 2, 255]) {
      expect(await failure(() => openRecord(under, Uint8Array.of(version)))).toBe('version');
    }
    expect(await failure(() => openRecord(under, Uint8Array.of(1)))).toBe('record');
  });
});

describe('a record', () => {
  test('opens again', async () => {
    expect(record).toHaveLength(plaintext.length + RECORD_OVERHEAD);
    expect(await openRecord(under, record)).toEqual(plaintext);
  });

  test('may be empty, and as large as allowed', async () => {
    for (const size of [0, MAX_RECORD - RECORD_OVERHEAD]) {
      const sealed = await sealRecord(under, new Uint8Array(size));
      expect(await openRecord(under, sealed)).toHaveLength(size);
    }
    expect(await failure(() => sealRecord(under, new Uint8Array(MAX_RECORD - RECORD_OVERHEAD + 1)))).toBe('record');
    expect(await failure(() => openRecord(under, new Uint8Array(MAX_RECORD + 1).fill(1)))).toBe('record');
  });

  test('has a fresh salt each time', async () => {
    const again = await sealRecord(under, plaintext);
    expect(again.slice(1, 33)).not.toEqual(record.slice(1, 33));
    expect(again.slice(65)).not.toEqual(record.slice(65));
  });

  test.each([
    ['another key', { ...under, purposeKey: flip(under.purposeKey, 0) }],
    ['another type', { ...under, type: 'tesu' }],
    ['other ids', { ...under, aad: flip(under.aad, 15) }],
    ['more ids', { ...under, aad: new Uint8Array([...under.aad, 0]) }],
    ['a type that runs into the ids', { ...under, type: 'tes', aad: new Uint8Array([0x74, ...under.aad]) }],
  ])('does not open under %s', async (_, other) => {
    expect(await failure(() => openRecord(other, record))).toBe('commitment');
  });

  test('with one bit changed says whether it is another key or damage', async () => {
    for (let at = 0; at < record.length; at++) {
      const expected = at === 0 ? 'version' : at < 65 ? 'commitment' : 'record';
      expect(await failure(() => openRecord(under, flip(record, at, at % 8)))).toBe(expected);
    }
  });

  test('that is cut or grown is refused', async () => {
    for (const size of [0, 1, 80, 81, record.length - 1]) {
      expect(await failure(() => openRecord(under, record.slice(0, size)))).toBe('record');
    }
    expect(await failure(() => openRecord(under, new Uint8Array([...record, 0])))).toBe('record');
  });
});
