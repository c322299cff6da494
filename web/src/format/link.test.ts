import { describe, expect, test } from 'vitest';
import { KIND } from './descriptor.ts';
import { toText } from './id.ts';
import {
  addressOf,
  deriveLinkKeys,
  fragmentOf,
  handleIn,
  LINK_KIND,
  type LinkRecord,
  newLink,
  openLinkRecord,
  parseFragment,
  sealLinkRecord,
  urlOf,
} from './link.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';

const random = new Random(19);
const content = {
  fileId: random.bytes(16),
  revisionId: random.bytes(16),
  key: random.bytes(32),
  commitment: random.bytes(32),
  root: random.bytes(32),
  trueSize: 5,
};
const file = { path: 'a.txt', kind: KIND.file, content };

describe('a link', () => {
  test('comes back from its parts', async () => {
    for (const needsPassword of [false, true]) {
      const link = newLink(needsPassword);
      expect(await parseFragment(link.handle, await fragmentOf(link))).toEqual(link);
      const url = new URL(await urlOf('https://files.example/', link));
      expect(await parseFragment(handleIn(url.pathname), url.hash.slice(1))).toEqual(link);
      expect(url.href.startsWith(`${addressOf('https://files.example', link.handle)}#`)).toBe(true);
    }
    expect(newLink(false).secret).not.toEqual(newLink(false).secret);
  });

  test('with any character changed is refused', async () => {
    const link = newLink(false);
    const fragment = await fragmentOf(link);
    for (let at = 0; at < fragment.length; at++) {
      const letter = fragment[at] === 'x' ? 'y' : 'x';
      const code = await failure(() =>
        parseFragment(link.handle, fragment.slice(0, at) + letter + fragment.slice(at + 1)),
      );
      expect(['cut', 'unknown', 'checksum'], `character ${at}`).toContain(code);
    }
    expect(await failure(() => parseFragment(newLink(false).handle, fragment))).toBe('checksum');
  });

  test.each([
    '',
    '/',
    '/s/',
    '/s/abc',
    '/t/AAAAAAAAAAAAAAAAAAAAAA',
    '/s/AAAAAAAAAAAAAAAAAAAAAA/x',
    '/s/AAAAAAAAAAAAAAAAAAAAAB',
  ])('is not at %s', async (path) => {
    expect(await failure(() => handleIn(path))).toBe('cut');
  });

  test('may end in a slash', () => {
    expect(handleIn('/s/AAAAAAAAAAAAAAAAAAAAAA/')).toEqual(new Uint8Array(16));
  });
});

describe('the keys of a link', () => {
  test('are its own, each for its purpose', async () => {
    const link = newLink(false);
    const keys = await deriveLinkKeys(link);
    expect(keys.auth).not.toEqual(keys.recordKey);
    expect((await deriveLinkKeys({ ...link, handle: random.bytes(16) })).auth).not.toEqual(keys.auth);
    expect((await deriveLinkKeys({ ...link, secret: random.bytes(32) })).auth).not.toEqual(keys.auth);
  });

  // Row 18 of the threats: without the password there is nothing, and one that is not needed is not taken silently.
  test('want a password exactly where the link says so', async () => {
    expect(await failure(() => deriveLinkKeys(newLink(true)))).toBe('password');
    expect(await failure(() => deriveLinkKeys(newLink(false), 'x'))).toBe('password');
    expect(await failure(() => deriveLinkKeys(newLink(true), ''))).toBe('password');
    const link = newLink(true);
    const [one, other] = [await deriveLinkKeys(link, 'one'), await deriveLinkKeys(link, 'other')];
    expect(one.auth).not.toEqual(other.auth);
  });
});

describe('a link record', () => {
  const [key, handle] = [random.bytes(32), random.bytes(16)];

  test.each<[string, LinkRecord]>([
    ['one file', { kind: LINK_KIND.file, descriptor: file }],
    ['a bundle', { kind: LINK_KIND.bundle, content, count: 3, bytes: 0 }],
  ])('comes back: %s', async (_, record) => {
    const sealed = await sealLinkRecord(key, handle, record);
    expect(await openLinkRecord(key, handle, sealed)).toEqual(record);
    expect(await failure(() => openLinkRecord(flip(key, 1), handle, sealed))).toBe('commitment');
    expect(await failure(() => openLinkRecord(key, random.bytes(16), sealed))).toBe('commitment');
    expect(await failure(() => openLinkRecord(key, handle, flip(sealed, sealed.length - 1)))).toBe('record');
  });

  test.each<[string, LinkRecord]>([
    ['a folder', { kind: LINK_KIND.file, descriptor: { path: 'a', kind: KIND.folder } }],
    ['a file in a folder', { kind: LINK_KIND.file, descriptor: { ...file, path: 'a/b' } }],
    ['a negative count', { kind: LINK_KIND.bundle, content, count: -1, bytes: 0 }],
    ['more than fits', { kind: LINK_KIND.file, descriptor: { ...file, versions: Array(500).fill({ content }) } }],
  ])('is not sealed: %s', async (_, record) => {
    expect(await failure(() => sealLinkRecord(key, handle, record))).toBe('encoding');
  });

  test('holds no text of the link', async () => {
    const sealed = await sealLinkRecord(key, handle, { kind: LINK_KIND.file, descriptor: file });
    expect(Buffer.from(sealed).includes('a.txt')).toBe(false);
    expect(toText(sealed)).not.toContain(toText(content.key));
  });
});
