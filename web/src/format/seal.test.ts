import { createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import {
  associatedData,
  type ContentKeys,
  encodeHeader,
  newHead,
  Opener,
  parseHeader,
  Sealer,
  type StreamHead,
  withoutPadding,
} from './seal.ts';
import { FIRST_PLAIN, PLAIN, segmentAt, segmentCount, streamLength } from './stream.ts';
import { pattern } from './vectors/case.kit.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';

const random = new Random(9);
const keys: ContentKeys = {
  key: random.bytes(32),
  releaseKey: random.bytes(32),
  fileId: random.bytes(16),
  revisionId: random.bytes(16),
};
const head: StreamHead = { salt: random.bytes(32), prefix: random.bytes(7) };

/** Seals all segments of a plaintext that is padded already. */
async function sealAll(sealer: Sealer, plaintext: Bytes): Promise<Bytes[]> {
  const length = streamLength(plaintext.length);
  const segments: Bytes[] = [];
  for (let i = 0; i < segmentCount(plaintext.length); i++) {
    const { last, plainFrom, plainTo } = segmentAt(i, length);
    segments.push(await sealer.sealSegment(plaintext.subarray(plainFrom, plainTo), i, last));
  }
  return segments;
}

const PADDED = 802_816; // a padded length: four segments
const plaintext = pattern(PADDED);
const length = streamLength(PADDED);
const sealer = await Sealer.create(keys, head);
const segments = await sealAll(sealer, plaintext);
const opener = await Opener.create(keys, head, sealer.commitment, length);

describe('a sealed stream', () => {
  test('is what node:crypto makes of docs/format.md', async () => {
    const label = Buffer.concat([Buffer.from('holdfast/v1/content-key\0'), keys.revisionId]);
    const contentKey = Buffer.from(hkdfSync('sha256', keys.key, keys.releaseKey, label, 32));
    const aad = Buffer.concat([Buffer.from('holdfast/v1/content\0'), keys.fileId, keys.revisionId]);
    const segmentKey = Buffer.from(hkdfSync('sha256', contentKey, head.salt, aad, 32));
    let [plain, at] = [Buffer.alloc(0), 0];
    for (const segment of segments) {
      const nonce = Buffer.alloc(12, head.prefix);
      nonce.writeUInt32BE(at, 7);
      nonce[11] = at === segments.length - 1 ? 1 : 0;
      const decipher = createDecipheriv('aes-256-gcm', segmentKey, nonce);
      decipher.setAuthTag(segment.subarray(-16));
      plain = Buffer.concat([plain, decipher.update(segment.subarray(0, -16)), decipher.final()]);
      at++;
    }
    expect(Buffer.compare(plain, plaintext)).toBe(0);

    // The commitment, by HMAC alone: RFC 5869 with one block.
    const prk = createHmac('sha256', head.salt).update(contentKey).digest();
    const context = Buffer.concat([Buffer.from('holdfast/v1/commit\0'), aad, Buffer.of(1)]);
    expect(Buffer.from(sealer.commitment)).toEqual(createHmac('sha256', prk).update(context).digest());
    expect(Buffer.from(associatedData(keys.fileId, keys.revisionId))).toEqual(aad);
  });

  test('opens in any order', async () => {
    for (const i of [2, 0, 3, 1]) {
      const { plainFrom, plainTo } = segmentAt(i, length);
      const opened = await opener.openSegment(segments[i] ?? new Uint8Array(0), i);
      expect(Buffer.compare(opened, plaintext.subarray(plainFrom, plainTo))).toBe(0);
    }
  });

  test('has a fresh head each time', () => {
    expect(newHead().salt).not.toEqual(newHead().salt);
    expect(newHead().prefix).not.toEqual(newHead().prefix);
    expect(newHead()).toMatchObject({ salt: expect.any(Uint8Array), prefix: expect.any(Uint8Array) });
  });

  test('is the same again for the same source', async () => {
    const again = await sealAll(await Sealer.create(keys, head), plaintext);
    expect(again.map((segment, i) => Buffer.compare(segment, segments[i] ?? segment))).toEqual([0, 0, 0, 0]);
  });

  test('crosses to a worker by its parts, keys unreadable', async () => {
    const parts = structuredClone({ key: sealer.segmentKey, head, commitment: sealer.commitment });
    expect(parts.key.extractable).toBe(false);
    const twin = new Sealer(parts.key, parts.head, parts.commitment);
    expect(await twin.sealSegment(plaintext.subarray(0, FIRST_PLAIN), 0, false)).toEqual(segments[0]);
  });
});

describe('sealing refuses', () => {
  test.each([
    ['a segment 0 that is too long', FIRST_PLAIN + 1, 0, true],
    ['a segment that is too long', PLAIN + 1, 1, true],
    ['a short segment that is not the last', 1024, 0, false],
    ['a short segment within', PLAIN - 1, 1, false],
    ['an empty segment at the end', 0, 1, true],
    ['a number below 0', 1024, -1, true],
    ['a number that the nonce does not hold', 1024, 2 ** 32, true],
    ['a number that is none', 1024, 0.5, true],
  ])('%s', async (_, size, index, last) => {
    await expect(sealer.sealSegment(new Uint8Array(size), index, last)).rejects.toThrow(RangeError);
  });

  test('salts and prefixes of other lengths', () => {
    expect(() => encodeHeader({ salt: new Uint8Array(31), prefix: head.prefix })).toThrow(RangeError);
    expect(() => encodeHeader({ salt: head.salt, prefix: new Uint8Array(8) })).toThrow(RangeError);
  });
});

describe('the header', () => {
  test('comes back', () => {
    expect(sealer.header).toHaveLength(40);
    expect(parseHeader(sealer.header)).toEqual(head);
  });

  test('of another version, or cut, is refused', async () => {
    expect(await failure(() => parseHeader(flip(sealer.header, 0)))).toBe('version');
    expect(await failure(() => parseHeader(flip(sealer.header, 0).subarray(0, 5)))).toBe('version');
    expect(await failure(() => parseHeader(sealer.header.subarray(0, 39)))).toBe('length');
    expect(await failure(() => parseHeader(new Uint8Array(0)))).toBe('length');
  });
});

// Rows 8 to 10 of the threats: whatever a server or node does to the stream, no wrong byte comes out.
describe('opening refuses', () => {
  const change = (part: Partial<ContentKeys>): ContentKeys => ({ ...keys, ...part });
  const id = random.bytes(16);

  test.each([
    ['another K', change({ key: flip(keys.key, 31, 7) }), head],
    ['another R', change({ releaseKey: flip(keys.releaseKey, 0) }), head],
    ['another file id', change({ fileId: id }), head],
    ['another revision id', change({ revisionId: id }), head],
    [
      'ids exchanged',
      change({ fileId: new Uint8Array(keys.revisionId), revisionId: new Uint8Array(keys.fileId) }),
      head,
    ],
    ['another salt', keys, { ...head, salt: flip(head.salt, 5) }],
  ])('%s, before any segment', async (_, other, otherHead) => {
    expect(await failure(() => Opener.create(other, otherHead, sealer.commitment, length))).toBe('commitment');
  });

  test('another commitment, cut or changed anywhere', async () => {
    for (let at = 0; at < 32; at++) {
      const commitment = flip(sealer.commitment, at, at % 8);
      expect(await failure(() => Opener.create(keys, head, commitment, length))).toBe('commitment');
    }
    const cut = sealer.commitment.slice(0, 31);
    expect(await failure(() => Opener.create(keys, head, cut, length))).toBe('commitment');
  });

  test('a length that no stream has', async () => {
    for (const other of [0, length - 1, length + 1, 2 ** 44]) {
      expect(await failure(() => Opener.create(keys, head, sealer.commitment, other))).toBe('length');
    }
  });

  test('a changed bit anywhere', async () => {
    for (let i = 0; i < 60; i++) {
      const index = random.below(4);
      const segment = segments[index] ?? new Uint8Array(1);
      const damaged = flip(segment, random.below(segment.length), random.below(8));
      expect(await failure(() => opener.openSegment(damaged, index))).toBe('segment');
    }
  });

  test('a segment in the place of another', async () => {
    for (let index = 0; index < 4; index++) {
      for (let other = 0; other < 4; other++) {
        if (other === index) continue;
        expect(await failure(() => opener.openSegment(segments[other] ?? new Uint8Array(0), index))).toBe('segment');
      }
    }
  });

  test('a segment cut, grown, or missing', async () => {
    const segment = segments[1] ?? new Uint8Array(0);
    const longer = new Uint8Array(segment.length + 1);
    longer.set(segment);
    for (const other of [segment.subarray(1), segment.subarray(0, -1), longer, new Uint8Array(0)]) {
      expect(await failure(() => opener.openSegment(other, 1))).toBe('segment');
    }
  });

  test('a short segment within, even from somebody who has the keys', async () => {
    const iv = new Uint8Array([...head.prefix, 0, 0, 0, 1, 0]);
    const short = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, sealer.segmentKey, new Uint8Array(1000));
    expect(await failure(() => opener.openSegment(new Uint8Array(short), 1))).toBe('segment');
  });

  test('a stream cut between segments, whatever length is claimed', async () => {
    const shorter = streamLength(770_048); // two segments and a part of the third
    const other = await Opener.create(keys, head, sealer.commitment, shorter);
    const { from, to } = segmentAt(2, shorter);
    expect(await failure(() => other.openSegment((segments[2] ?? new Uint8Array(0)).slice(0, to - from), 2))).toBe(
      'segment',
    );
  });

  test('a segment of another stream of the same file', async () => {
    const otherKeys = change({ revisionId: id });
    const other = await sealAll(await Sealer.create(otherKeys, head), plaintext);
    expect(await failure(() => opener.openSegment(other[1] ?? new Uint8Array(0), 1))).toBe('segment');
    const otherSalt = await sealAll(await Sealer.create(keys, { ...head, salt: random.bytes(32) }), plaintext);
    expect(await failure(() => opener.openSegment(otherSalt[1] ?? new Uint8Array(0), 1))).toBe('segment');
    const otherPrefix = await sealAll(await Sealer.create(keys, { ...head, prefix: random.bytes(7) }), plaintext);
    expect(await failure(() => opener.openSegment(otherPrefix[1] ?? new Uint8Array(0), 1))).toBe('segment');
  });

  test('a segment that does not exist', async () => {
    await expect(opener.openSegment(new Uint8Array(16), 4)).rejects.toThrow(RangeError);
  });
});

describe('padding', () => {
  const padded = new Uint8Array(10);
  padded.set([1, 2, 3]);

  test('goes, wherever the part begins', () => {
    expect(withoutPadding(padded, 0, 3)).toEqual(Uint8Array.of(1, 2, 3));
    expect(withoutPadding(padded, 100, 103)).toEqual(Uint8Array.of(1, 2, 3));
    expect(withoutPadding(padded, 0, 100)).toEqual(padded);
    expect(withoutPadding(padded.subarray(3), 3, 3)).toEqual(new Uint8Array(0));
    expect(withoutPadding(padded.subarray(5), 5, 3)).toEqual(new Uint8Array(0));
  });

  test('that is not zero is refused', async () => {
    expect(await failure(() => withoutPadding(padded, 0, 2))).toBe('padding');
    expect(await failure(() => withoutPadding(flip(padded, 9, 7), 0, 3))).toBe('padding');
    expect(await failure(() => withoutPadding(Uint8Array.of(1), 50, 3))).toBe('padding');
  });
});
