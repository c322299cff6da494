import { expect } from 'vitest';
import { prepareName } from '../account-name.ts';
import { type Bytes, equal } from '../bytes.ts';
import { signer } from '../ed25519.ts';
import {
  checkContact,
  contactCode,
  contactOf,
  identityOf,
  parseContact,
  parseIdentity,
  safetyNumber,
} from '../identity.ts';
import { decodeText, encodeBody, encodeText } from '../invite.ts';
import {
  byPasskey,
  byPassword,
  byPhrase,
  type FolderKeys,
  headsFolder,
  type Root,
  rootFolder,
  settingsKey,
  signingSeed,
  unwrapRoot,
  type Wrapper,
  wrapRoot,
} from '../keys.ts';
import { receiveMessage, sendMessage } from '../message.ts';
import { parsePhrase, phraseAuth, phraseAuthHash, WordError, wordsOf } from '../phrase.ts';
import { findWork } from '../work.ts';
import { type Case, type CaseReader, toHex } from './case.kit.ts';
import { jsonOf } from './signed.kit.ts';

const rootIn = (c: Case): Root => ({ account: c.hex('account'), epoch: c.number('epoch'), key: c.hex('root') });

const folderJson = ({ id, read, writeSeed, adminSeed }: FolderKeys): object => ({
  id: toHex(id),
  read: toHex(read),
  write: toHex(writeSeed),
  admin: toHex(adminSeed),
});

/** account.json */
export const readAccount: CaseReader = async (c) => {
  const root = rootIn(c);
  const identity = await identityOf(root);
  return async () => {
    expect(folderJson(await rootFolder(root))).toEqual(c.raw('rootFolder'));
    expect(folderJson(await headsFolder(root))).toEqual(c.raw('heads'));
    expect((await signer(await signingSeed(root))).publicKey).toEqual(identity.signing);
    expect({
      signing: toHex(identity.signing),
      encryption: toHex(identity.encryption),
      settings: toHex(await settingsKey(root)),
      identity: toHex(identity.envelope),
      fingerprint: toHex(identity.fingerprint),
      contact: await contactCode(contactOf(identity)),
    }).toEqual({
      signing: c.text('signing'),
      encryption: c.text('encryption'),
      settings: c.text('settings'),
      identity: c.text('identity'),
      fingerprint: c.text('fingerprint'),
      contact: c.text('contact'),
    });
  };
};

/** identity.json: all of them are refused. */
export const readIdentity: CaseReader = async (c) => {
  await parseIdentity(c.hex('identity'));
  return () => {};
};

function wrapperIn(c: Case): Promise<Wrapper> {
  const [account, kind, secret] = [c.hex('account'), c.text('kind'), c.hex('secret')];
  const credential = c.maybe('credential', c.hex);
  if (kind === 'password') return byPassword(account, secret);
  return credential ? byPasskey(account, secret, credential) : byPhrase(account, secret);
}

/** wrap.json */
export const readWrap: CaseReader = async (c) => {
  const by = await wrapperIn(c);
  const [epoch, wrap] = [c.number('epoch'), c.hex('wrap')];
  const root = await unwrapRoot(by, epoch, wrap);
  return async () => {
    expect(root).toEqual({ account: by.account, epoch, key: c.hex('root') });
    expect(toHex(await wrapRoot(by, root, c.hex('salt')))).toBe(toHex(wrap));
  };
};

/** accountname.json */
export const readName: CaseReader = (c) => {
  const prepared = prepareName(c.text('typed'));
  return () => {
    expect(prepared).toBe(c.text('prepared'));
    expect(prepareName(prepared)).toBe(prepared);
  };
};

/** phrase.json */
export const readPhrase: CaseReader = async (c) => {
  let entropy: Bytes;
  try {
    entropy = await parsePhrase(c.text('text'));
  } catch (error) {
    if (error instanceof WordError) {
      expect({ position: error.position, nearest: error.nearest }).toEqual({
        position: c.number('position'),
        nearest: c.texts('nearest'),
      });
    }
    throw error;
  }
  return async () => {
    expect(entropy).toEqual(c.hex('entropy'));
    expect(await parsePhrase((await wordsOf(entropy)).join(' '))).toEqual(entropy);
    const auth = await phraseAuth(entropy);
    expect(auth).toEqual(c.hex('auth'));
    expect(await phraseAuthHash(auth)).toEqual(c.hex('authHash'));
  };
};

/** contact.json */
export const readContact: CaseReader = async (c) => {
  const envelope = c.maybe('identity', c.hex);
  const contact = await parseContact(c.text('text'));
  if (!envelope) throw new TypeError('a good code without an identity');
  const identity = await parseIdentity(envelope);
  checkContact(contact, identity);
  return () => expect(contactOf(identity)).toEqual(contact);
};

/** safety.json */
export const readSafety: CaseReader = async (c) => {
  const [a, b] = [await parseIdentity(c.hex('a')), await parseIdentity(c.hex('b'))];
  return async () => {
    expect(await safetyNumber(a, b)).toBe(c.text('number'));
    expect(await safetyNumber(b, a)).toBe(c.text('number'));
  };
};

/** message.json */
export const readMessage: CaseReader = async (c) => {
  const root = rootIn(c);
  const [sender, purpose] = [await parseIdentity(c.hex('sender')), c.text('purpose')];
  const text = await receiveMessage(root, sender, purpose, c.hex('message'));
  return async () => {
    expect(toHex(text)).toBe(c.maybe('text', c.text) ?? '');
    // What this twin sends comes back; that Go opens such a message is one of the cases.
    const back = await sendMessage(root, await identityOf(root), purpose, text);
    expect(await receiveMessage(root, await identityOf(root), purpose, back)).toEqual(text);
  };
};

/** invite.json */
export const readInvite: CaseReader = async (c) => {
  const raw = c.hex('text');
  const text = await decodeText(raw);
  return async () => {
    const again = await encodeText(text);
    expect(jsonOf(encodeBody(text))).toEqual(c.raw('value'));
    expect(equal(again, raw)).toBe(c.has('again'));
    if (c.has('again')) expect(c.raw('again')).toBe(true);
    expect(await decodeText(again)).toEqual(text);
  };
};

/** work.json */
export const readWork: CaseReader = async (c) => {
  const nonce = await findWork(c.hex('challenge'), c.number('bits'));
  return () => expect(nonce).toBe(c.number('nonce'));
};
