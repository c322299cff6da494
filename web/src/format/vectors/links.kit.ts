import { expect } from 'vitest';
import { type Bytes, utf8 } from '../bytes.ts';
import { decodeBundle, decodeDescriptor, encodeBundle, encodeDescriptor, totals } from '../descriptor.ts';
import {
  authHash,
  deriveLinkKeys,
  encodeLinkRecord,
  finalKey,
  fragmentOf,
  handleIn,
  type Link,
  manageHash,
  openLinkRecord,
  parseFragment,
  sealLinkRecord,
  urlOf,
} from '../link.ts';
import { linkPasswordKey, prepare } from '../password.ts';
import { type Case, type CaseReader, toHex } from './case.kit.ts';
import { jsonOf } from './signed.kit.ts';

function checkAgain(c: Case, encoded: Bytes, data: Bytes): void {
  expect(jsonOf(encoded)).toEqual(c.raw('value'));
  expect(toHex(encoded) === toHex(data)).toBe(c.boolean('again'));
}

/** descriptor.json */
export const readDescriptor: CaseReader = (c) => {
  const data = c.data('bytes');
  const entry = decodeDescriptor(data);
  return () => checkAgain(c, encodeDescriptor(entry), data);
};

/** bundle.json */
export const readBundle: CaseReader = (c) => {
  const data = c.data('bytes');
  const bundle = decodeBundle(data);
  return () => {
    checkAgain(c, encodeBundle(bundle), data);
    expect(totals(bundle)).toEqual({ files: c.number('files'), bytes: c.number('total') });
  };
};

/** password.json */
export const readPassword: CaseReader = (c) => {
  const password = c.text('password');
  const prepared = prepare(password);
  return async () => {
    expect(prepared).toBe(c.text('prepared'));
    expect(prepare(prepared)).toBe(prepared);
    expect(utf8(prepared)).toEqual(c.hex('bytes'));
    if (c.has('key')) expect(await linkPasswordKey(password, c.hex('handle'))).toEqual(c.hex('key'));
  };
};

async function checkKeys(c: Case, link: Link): Promise<void> {
  const password = c.maybe('password', c.text);
  const { auth, recordKey } = await deriveLinkKeys(link, password);
  const passwordKey = password === undefined ? undefined : await linkPasswordKey(password, link.handle);
  expect({
    passwordKey,
    finalKey: await finalKey(link, passwordKey),
    auth,
    recordKey,
    authHash: await authHash(auth),
    manageHash: await manageHash(link.handle, c.hex('manageSecret')),
  }).toEqual({
    passwordKey: c.maybe('passwordKey', c.hex),
    finalKey: c.hex('finalKey'),
    auth: c.hex('auth'),
    recordKey: c.hex('recordKey'),
    authHash: c.hex('authHash'),
    manageHash: c.hex('manageHash'),
  });
}

/** link.json */
export const readLink: CaseReader = async (c) => {
  const [handle, fragment] = [c.hex('handle'), c.text('fragment')];
  const link = await parseFragment(handle, fragment);
  return async () => {
    expect(link).toEqual({ handle, secret: c.hex('secret'), needsPassword: c.number('flags') === 1 });
    expect(await fragmentOf(link)).toBe(fragment);
    const url = c.text('url');
    expect(await urlOf(c.text('base'), link)).toBe(url);
    expect(handleIn(new URL(url).pathname)).toEqual(handle);
    await checkKeys(c, link);
  };
};

/** linkrecord.json, linkfolder.json */
export const readLinkRecord: CaseReader = async (c) => {
  const password = c.maybe('password', c.text);
  const link = { handle: c.hex('handle'), secret: c.hex('secret'), needsPassword: password !== undefined };
  const { recordKey } = await deriveLinkKeys(link, password);
  const sealed = c.data('record');
  const record = await openLinkRecord(recordKey, link.handle, sealed);
  return async () => {
    expect(recordKey).toEqual(c.hex('recordKey'));
    const encoded = encodeLinkRecord(record);
    expect(jsonOf(encoded)).toEqual(c.raw('value'));
    const again = await sealLinkRecord(recordKey, link.handle, record, c.hex('salt'));
    expect(toHex(again) === toHex(sealed)).toBe(c.boolean('again'));
    if (c.has('plaintext') && c.boolean('again')) expect(toHex(encoded)).toBe(c.text('plaintext'));
    c.maybe('plaintext', c.text);
  };
};
