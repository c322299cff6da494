import { createHash, hkdfSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Bytes, concat } from './bytes.ts';
import { KIND } from './descriptor.ts';
import { fromText, toText } from './id.ts';
import {
  addressOf,
  authHash,
  deriveLinkKeys,
  encodeLinkRecord,
  finalKey,
  fragmentOf,
  handleIn,
  LINK_KIND,
  type Link,
  type LinkRecord,
  MAX_LINK_RECORD,
  manageHash,
  openLinkRecord,
  parseFragment,
  sealLinkRecord,
} from './link.ts';
import { RECORD_OVERHEAD, sealRecord } from './record.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { encodingOf, holdToShape, type Path, put, type Tree, treeOf } from './vectors/tree.kit.ts';

// Links of docs/format.md §11 against other implementations of what they are made of, and what no honest sender makes.

const random = new Random(26);
const link: Link = { handle: random.bytes(16), secret: random.bytes(32), needsPassword: false };

function sha256(...parts: (string | Bytes)[]): Bytes {
  return new Uint8Array(
    createHash('sha256')
      .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
      .digest(),
  );
}

function hkdf(ikm: Bytes, label: string): Bytes {
  const info = Buffer.concat([Buffer.from(`holdfast/v1/${label}\0`), link.handle]);
  return new Uint8Array(hkdfSync('sha256', ikm, new Uint8Array(0), info, 32));
}

/** A fragment with these bytes before its checksum, which is right. */
function fragmentWith(body: Bytes, handle = link.handle): string {
  return toText(concat(body, sha256('holdfast/v1/link-checksum\0', handle, body).slice(0, 4)));
}

describe('a fragment', () => {
  const body = (version: number, flags: number): Bytes => concat(Uint8Array.of(version, flags), link.secret);

  test('is version, flags, secret and a checksum over them and the handle', async () => {
    expect(await fragmentOf(link)).toBe(fragmentWith(body(1, 0)));
    expect(await fragmentOf({ ...link, needsPassword: true })).toBe(fragmentWith(body(1, 1)));
    expect(await fragmentOf(link)).toHaveLength(51);
  });

  test('has no version but 1 and no flag but the password, even with the right checksum', async () => {
    for (let version = 0; version < 256; version++) {
      const code = await failure(() => parseFragment(link.handle, fragmentWith(body(version, 0))));
      expect(code, `version ${version}`).toBe(version === 1 ? undefined : 'unknown');
    }
    for (let flags = 0; flags < 256; flags++) {
      const code = await failure(() => parseFragment(link.handle, fragmentWith(body(1, flags))));
      expect(code, `flags ${flags}`).toBe(flags < 2 ? undefined : 'unknown');
    }
  });

  test('with any bit of its checksum changed, or of the handle, is refused', async () => {
    const raw = fromText(await fragmentOf(link)) ?? new Uint8Array(0);
    for (let at = 34 * 8; at < 38 * 8; at++) {
      const damaged = toText(flip(raw, at >> 3, at & 7));
      expect(await failure(() => parseFragment(link.handle, damaged)), `bit ${at}`).toBe('checksum');
    }
    for (let at = 0; at < 16; at++) {
      expect(await failure(async () => parseFragment(flip(link.handle, at), await fragmentOf(link)))).toBe('checksum');
    }
    for (let at = 2; at < 34; at++) {
      expect(await failure(() => parseFragment(link.handle, toText(flip(raw, at, at % 8))))).toBe('checksum');
    }
  });

  test('of any other length, or alphabet, is cut', async () => {
    const good = await fragmentOf(link);
    const others = Array.from({ length: 51 }, (_, n) => good.slice(0, n));
    for (const other of [...others, `${good}A`, `${good}=`, `${good.slice(0, 50)}=`, `${good.slice(0, 50)}\n`]) {
      expect(await failure(() => parseFragment(link.handle, other)), JSON.stringify(other)).toBe('cut');
    }
    for (const letter of '+/ .%é') {
      expect(await failure(() => parseFragment(link.handle, good.replace(/./, letter))), letter).toBe('cut');
    }
  });

  test('says nothing of the secret when it is refused', async () => {
    const damaged = (await fragmentOf(link)).replace(/.$/, (last) => (last === 'A' ? 'E' : 'A'));
    const error: unknown = await parseFragment(link.handle, damaged).catch((reason: unknown) => reason);
    expect(String(error)).not.toContain(damaged.slice(5, 20));
  });
});

describe('the address of a link', () => {
  test('is the base, /s/ and the handle, whether or not the base ends in a slash', () => {
    const path = `/s/${toText(link.handle)}`;
    expect(addressOf('https://files.example', link.handle)).toBe(`https://files.example${path}`);
    expect(addressOf('https://files.example/', link.handle)).toBe(`https://files.example${path}`);
    expect(handleIn(path)).toEqual(link.handle);
    expect(handleIn(`${path}/`)).toEqual(link.handle);
  });

  test.each(['//', '/?', '/x', '=', '%20', ' '])('does not go on with %j', async (end) => {
    expect(await failure(() => handleIn(`/s/${toText(link.handle)}${end}`))).toBe('cut');
  });

  test.each(['/S/', 's/', '/s', '//s/', '/a/s/', ' /s/'])('does not begin with %j', async (start) => {
    expect(await failure(() => handleIn(`${start}${toText(link.handle)}`))).toBe('cut');
  });
});

describe('what is derived from a link', () => {
  test('is HKDF over its secret, by another implementation', async () => {
    const final = hkdf(link.secret, 'link-final');
    expect(await finalKey(link)).toEqual(final);
    const { auth, recordKey } = await deriveLinkKeys(link);
    expect(auth).toEqual(hkdf(final, 'link-auth'));
    expect(recordKey).toEqual(hkdf(final, 'link-record'));
  });

  test('takes the password key behind the secret', async () => {
    const passwordKey = random.bytes(32);
    expect(await finalKey(link, passwordKey)).toEqual(hkdf(concat(link.secret, passwordKey), 'link-final'));
  });

  test('is stored as hashes with labels of their own', async () => {
    const secret = random.bytes(32);
    expect(await authHash(secret)).toEqual(sha256('holdfast/v1/link-auth-hash\0', secret));
    expect(await manageHash(link.handle, secret)).toEqual(sha256('holdfast/v1/manage-hash\0', link.handle, secret));
  });
});

const content = {
  ...{ fileId: random.bytes(16), revisionId: random.bytes(16), key: random.bytes(32) },
  ...{ commitment: random.bytes(32), root: random.bytes(32), trueSize: 5 },
};
const file: LinkRecord = { kind: LINK_KIND.file, descriptor: { path: 'a.txt', kind: KIND.file, content } };
const bundle: LinkRecord = { kind: LINK_KIND.bundle, content, count: 3, bytes: 70 };

describe('what a record says', () => {
  const key = random.bytes(32);
  const under = { purposeKey: key, type: 'link', aad: link.handle };
  const open = async (plaintext: Bytes) => openLinkRecord(key, link.handle, await sealRecord(under, plaintext));

  test('is of that shape', async () => {
    await holdToShape(open, encodeLinkRecord(file), []);
    await holdToShape(open, encodeLinkRecord(bundle), []);
  });

  test.each<[string, LinkRecord, Path, unknown]>([
    ['kind 0', file, [1], 0],
    ['kind 3, which is reserved', bundle, [1], 3],
    ['a file that says it is a bundle', file, [1], 2],
    ['a bundle that says it is a file', bundle, [1], 1],
    ['a file with the content of a bundle', file, [3], treeOf(encodeLinkRecord(bundle))],
    ['a file with a count', file, [4], 1],
    ['a file with bytes', file, [5], 0],
    ['a bundle with a negative count', bundle, [4], -1],
    ['a bundle of negative size', bundle, [5], -1],
    ['a bundle whose listing has a negative size', bundle, [3, 6], -1],
    ['a file in a folder', file, [2, 1], 'a/b'],
    ['a file without a name', file, [2, 1], ''],
    ['a file named ..', file, [2, 1], '..'],
    ['a file without content', file, [2, 3], undefined],
  ])('is refused with %s', async (_, record, path, value) => {
    const changed = encodingOf(put(treeOf(encodeLinkRecord(record)), path, value as Tree));
    expect(await failure(() => open(changed))).toBe('encoding');
  });

  test('is refused of a file with a content beside it', async () => {
    const both = put(
      treeOf(encodeLinkRecord(file)),
      [3],
      (treeOf(encodeLinkRecord(bundle)) as Map<number, Tree>).get(3),
    );
    expect(await failure(() => open(encodingOf(both)))).toBe('encoding');
    const beside = put(
      treeOf(encodeLinkRecord(bundle)),
      [2],
      (treeOf(encodeLinkRecord(file)) as Map<number, Tree>).get(2),
    );
    expect(await failure(() => open(encodingOf(beside)))).toBe('encoding');
  });

  test('is refused of a folder', async () => {
    const folder = new Map<number, Tree>([
      [1, 1],
      [
        2,
        new Map<number, Tree>([
          [1, 'a'],
          [2, 2],
        ]),
      ],
    ]);
    expect(await failure(() => open(encodingOf(folder)))).toBe('encoding');
  });

  test('has up to 64 KiB, sealed', async () => {
    const room = MAX_LINK_RECORD - RECORD_OVERHEAD;
    const padded = (size: number) => {
      const bare = encodingOf(put(treeOf(encodeLinkRecord(file)), [64], new Uint8Array(60_000))).length;
      return encodingOf(put(treeOf(encodeLinkRecord(file)), [64], new Uint8Array(60_000 + size - bare)));
    };
    expect(await openLinkRecord(key, link.handle, await sealRecord(under, padded(room)))).toEqual(file);
    expect(await failure(async () => openLinkRecord(key, link.handle, await sealRecord(under, padded(room + 1))))).toBe(
      'record',
    );
  });

  test('is sealed anew each time, under a salt of its own', async () => {
    const [one, other] = [await sealLinkRecord(key, link.handle, file), await sealLinkRecord(key, link.handle, file)];
    expect(one.slice(1, 33)).not.toEqual(other.slice(1, 33));
    expect(await openLinkRecord(key, link.handle, other)).toEqual(await openLinkRecord(key, link.handle, one));
  });
});
