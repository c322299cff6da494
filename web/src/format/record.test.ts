import { describe, expect, test } from 'vitest';
import { MAX_RECORD, openRecord, RECORD_OVERHEAD, sealRecord } from './record.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';

const random = new Random(10);
const under = { purposeKey: random.bytes(32), type: 'test', aad: random.bytes(16) };
const plaintext = random.bytes(100);
const record = await sealRecord(under, plaintext);

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
