import { createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
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

/** What docs/format.md derives, by node:crypto. */
function derivedElsewhere(): { contentKey: Buffer; aad: Buffer; segmentKey: Buffer } {
  const label = Buffer.concat([Buffer.from('holdfast/v1/content-key\0'), keys.revisionId]);
  const contentKey = Buffer.from(hkdfSync('sha256', keys.key, keys.releaseKey, label, 32));
  const aad = Buffer.concat([Buffer.from('holdfast/v1/content\0'), keys.fileId, keys.revisionId]);
  return { contentKey, aad, segmentKey: Buffer.from(hkdfSync('sha256', contentKey, head.salt, aad, 32)) };
}

/** A segment opened under keys that this program did not derive. */
function openElsewhere(segment: Bytes, index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12, head.prefix);
  nonce.writeUInt32BE(index, 7);
  nonce[11] = last ? 1 : 0;
  const decipher = createDecipheriv('aes-256-gcm', derivedElsewhere().segmentKey, nonce);
  decipher.setAuthTag(segment.subarray(-16));
  return Buffer.concat([decipher.update(segment.subarray(0, -16)), decipher.final()]);
}

describe('the nonce', () => {
  const short = pattern(1024);

  test.each([
    ['the only segment, first and last', 0, true],
    ['the last of several', 3, true],
    ['one whose number takes more than 16 bits', 2 ** 16, true],
    ['the last that the counter holds', 2 ** 32 - 1, true],
  ])('of %s is prefix, number, end', async (_, index, last) => {
    const sealed = await sealer.sealSegment(short, index, last);
    expect(Buffer.compare(openElsewhere(sealed, index, last), short)).toBe(0);
    expect(() => openElsewhere(sealed, index, !last)).toThrow();
    expect(() => openElsewhere(sealed, (index + 1) % 2 ** 32, last)).toThrow();
  });

  test('of a full segment that others follow says so', async () => {
    const full = pattern(PLAIN);
    const sealed = await sealer.sealSegment(full, 2 ** 32 - 1, false);
    expect(Buffer.compare(openElsewhere(sealed, 2 ** 32 - 1, false), full)).toBe(0);
  });
});

describe('the keys of a stream', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('are not left in memory that this program can read, and K stays what it is', async () => {
    const imported = vi.spyOn(crypto.subtle, 'importKey');
    const before = keys.key.slice();
    await Sealer.create(keys, head);
    const [ofK, ofContentKey] = imported.mock.calls.map(([, data]) => data as unknown as Bytes);
    expect(ofK).toBe(keys.key);
    expect(keys.key).toEqual(before);
    expect(ofContentKey).toEqual(new Uint8Array(32)); // wiped once the engine had it
    expect(imported.mock.calls.map(([format, , , extractable]) => [format, extractable])).toEqual([
      ['raw', false],
      ['raw', false],
    ]);
  });

  test('cannot be exported', async () => {
    for (const { segmentKey } of [sealer, opener]) {
      expect(segmentKey.extractable).toBe(false);
      await expect(crypto.subtle.exportKey('raw', segmentKey)).rejects.toThrow();
    }
  });

  test('are asked for only where the length is one of a stream', async () => {
    const imported = vi.spyOn(crypto.subtle, 'importKey');
    expect(await failure(() => Opener.create(keys, head, sealer.commitment, length + 1))).toBe('length');
    expect(imported).not.toHaveBeenCalled();
  });
});

describe('a sealed stream', () => {
  test('is what node:crypto makes of docs/format.md', async () => {
    const opened = segments.map((segment, i) => openElsewhere(segment, i, i === segments.length - 1));
    expect(Buffer.compare(Buffer.concat(opened), plaintext)).toBe(0);

    const { contentKey, aad } = derivedElsewhere();
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

  test('of one segment opens where that says that it is the last', async () => {
    for (const size of [1024, 258_048]) {
      const one = await Opener.create(keys, head, sealer.commitment, streamLength(size));
      const opened = await one.openSegment(await sealer.sealSegment(pattern(size), 0, true), 0);
      expect(Buffer.compare(opened, pattern(size))).toBe(0);
    }
    const iv = new Uint8Array([...head.prefix, 0, 0, 0, 0, 0]); // more would follow
    const cut = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, sealer.segmentKey, pattern(1024));
    const one = await Opener.create(keys, head, sealer.commitment, streamLength(1024));
    expect(await failure(() => one.openSegment(new Uint8Array(cut), 0))).toBe('segment');
  });

  test('has a fresh head each time', () => {
    expect(newHead().salt).not.toEqual(newHead().salt);
    expect(newHead().prefix).not.toEqual(newHead().prefix);
    const { salt, prefix } = newHead();
    expect([salt.length, prefix.length]).toEqual([32, 7]);
    expect(encodeHeader({ salt, prefix })).toHaveLength(40);
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
    ['not a number', 1024, Number.NaN, true],
    ['a full segment with a number that the nonce does not hold', PLAIN, 2 ** 32, false],
    ['an empty segment within', 0, 1, false],
    ['an empty segment 0 that is not the last', 0, 0, false],
    ['a segment 0 as long as the others', PLAIN, 0, true],
  ])('%s', async (_, size, index, last) => {
    await expect(sealer.sealSegment(new Uint8Array(size), index, last)).rejects.toThrow(RangeError);
  });

  test('salts and prefixes of other lengths', () => {
    expect(() => encodeHeader({ salt: new Uint8Array(31), prefix: head.prefix })).toThrow(RangeError);
    expect(() => encodeHeader({ salt: head.salt, prefix: new Uint8Array(8) })).toThrow(RangeError);
    expect(() => encodeHeader({ salt: new Uint8Array(33), prefix: new Uint8Array(6) })).toThrow(RangeError);
  });

  test('nothing of what fits: the shortest and the longest segment', async () => {
    for (const [size, index, last] of [
      [0, 0, true],
      [FIRST_PLAIN, 0, true],
      [FIRST_PLAIN, 0, false],
      [1, 1, true],
      [PLAIN, 1, true],
      [PLAIN, 1, false],
    ] as const) {
      expect(await sealer.sealSegment(new Uint8Array(size), index, last)).toHaveLength(size + 16);
    }
  });
});

describe('the header', () => {
  test('comes back', () => {
    expect(Buffer.from(sealer.header)).toEqual(Buffer.concat([Buffer.of(0x28), head.salt, head.prefix]));
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

  test('that is not zero is refused where it stands', () => {
    expect(() => withoutPadding(padded, 0, 2)).toThrow('byte 2 of the padding');
    expect(() => withoutPadding(flip(padded, 9, 7), 1000, 1003)).toThrow('byte 1009 of the padding');
  });

  test('is looked at to its last byte, whatever of the part is the file’s', async () => {
    for (let size = 0; size < 10; size++) {
      for (let at = 0; at < 10; at++) {
        const damaged = flip(new Uint8Array(10), at);
        expect(await failure(() => withoutPadding(damaged, 70, 70 + size))).toBe(at < size ? undefined : 'padding');
      }
    }
  });

  test('that is not zero is refused', async () => {
    expect(await failure(() => withoutPadding(padded, 0, 2))).toBe('padding');
    expect(await failure(() => withoutPadding(flip(padded, 9, 7), 0, 3))).toBe('padding');
    expect(await failure(() => withoutPadding(Uint8Array.of(1), 50, 3))).toBe('padding');
  });
});
