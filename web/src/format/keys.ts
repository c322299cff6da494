import { type Bytes, concat, random, sha256 } from './bytes.ts';
import { signer } from './ed25519.ts';
import { FormatError } from './errors.ts';
import { type AccountId, type FolderId, newId, newKey } from './id.ts';
import { derive, deriveKey32, info, LABEL } from './kdf.ts';
import { openRecord, RECORD_OVERHEAD, sealRecord } from './record.ts';

// An account's keys: the root key, what follows from it, and the wraps under which a server keeps it (docs/format.md §14).

/** What an account is. Whoever has it has everything. */
export interface Root {
  readonly account: AccountId;
  /** The identity epoch, from 1. */
  readonly epoch: number;
  readonly key: Bytes;
}

/** The first root key of a new account. */
export function newRoot(): Root {
  return { account: newId<'account'>(), epoch: 1, key: newKey() };
}

const MAX_EPOCH = 2 ** 32 - 1;

/** The root key of the next epoch: what was wrapped or derived before opens nothing of it. */
export function nextRoot({ account, epoch }: Root): Root {
  if (epoch >= MAX_EPOCH) throw new RangeError('no epoch is left');
  return { account, epoch: epoch + 1, key: newKey() };
}

function ids({ account, epoch }: { account: Bytes; epoch: number }): Bytes {
  const out = concat(account, new Uint8Array(4));
  new DataView(out.buffer).setUint32(account.length, epoch);
  return out;
}

const from = (root: Root, label: string, n = 32): Promise<Bytes> =>
  derive(root.key, undefined, info(label, ids(root)), n);

/** The seed of the account's Ed25519 key. */
export const signingSeed = (root: Root): Promise<Bytes> => from(root, LABEL.identitySign);
/** The seed of the account's X-Wing key. */
export const encryptionSeed = (root: Root): Promise<Bytes> => from(root, LABEL.identityBox);
/** The purpose key of the account's settings. */
export const settingsKey = (root: Root): Promise<Bytes> => from(root, LABEL.settings);
/** The account's Ed25519 key. */
export const signingKey = async (root: Root): ReturnType<typeof signer> => signer(await signingSeed(root));

/** A folder's id and its keys of one folder epoch. */
export interface FolderKeys {
  readonly id: FolderId;
  readonly read: Bytes;
  readonly writeSeed: Bytes;
  readonly adminSeed: Bytes;
}

/** The account's root folder in folder epoch 1. */
export async function rootFolder(root: Root): Promise<FolderKeys> {
  return {
    id: await from(root, LABEL.rootFolder, 16),
    read: await from(root, LABEL.rootRead),
    writeSeed: await from(root, LABEL.rootWrite),
    adminSeed: await from(root, LABEL.rootAdmin),
  };
}

/** The journal of what the account last saw of its folders. */
export async function headsFolder(root: Root): Promise<FolderKeys> {
  return {
    id: await from(root, LABEL.headsFolder, 16),
    read: await from(root, LABEL.headsRead),
    writeSeed: await from(root, LABEL.headsWrite),
    adminSeed: await from(root, LABEL.headsAdmin),
  };
}

const WRAP_TYPE = 'root-wrap';
const KEY_SIZE = 32;
/** The length of every wrap. */
export const WRAP_SIZE = KEY_SIZE + RECORD_OVERHEAD;

/** One of the ways to sign in. */
export interface Wrapper {
  readonly account: AccountId;
  readonly purposeKey: Bytes;
  /** Kind and binding. */
  readonly bound: Bytes;
}

/** Under OPAQUE's export key of 64 bytes. */
export async function byPassword(account: AccountId, exportKey: Bytes): Promise<Wrapper> {
  return { account, purposeKey: await deriveKey32(exportKey, LABEL.wrapPassword, account), bound: Uint8Array.of(1) };
}

/** Under the entropy of the recovery phrase. */
export async function byPhrase(account: AccountId, entropy: Bytes): Promise<Wrapper> {
  return { account, purposeKey: await deriveKey32(entropy, LABEL.wrapPhrase, account), bound: Uint8Array.of(2) };
}

/** Under a passkey's output of the PRF extension. */
export async function byPasskey(account: AccountId, output: Bytes, credential: Bytes): Promise<Wrapper> {
  const bound = concat(Uint8Array.of(3), await sha256(credential));
  return { account, purposeKey: await deriveKey32(output, LABEL.wrapPasskey, account), bound };
}

function under({ account, purposeKey, bound }: Wrapper, epoch: number): Parameters<typeof sealRecord>[0] {
  return { purposeKey, type: WRAP_TYPE, aad: concat(ids({ account, epoch }), bound) };
}

/** Seals the root key. The salt is fresh; only tests that compare with known wraps give one. */
export function wrapRoot(by: Wrapper, root: Root, salt: Bytes = random(KEY_SIZE)): Promise<Bytes> {
  return sealRecord(under(by, root.epoch), root.key, WRAP_SIZE, salt);
}

/**
 * Opens the wrap of an epoch, which comes from whoever keeps the wrap and is believed only if the wrap opens. Whatever
 * is wrong is one error (`wrap`): who changed it learns nothing from how it failed.
 */
export async function unwrapRoot(by: Wrapper, epoch: number, wrap: Bytes): Promise<Root> {
  const key = await openRecord(under(by, epoch), wrap, WRAP_SIZE).catch(() => undefined);
  if (key?.length !== KEY_SIZE || !Number.isInteger(epoch) || epoch < 1 || epoch > MAX_EPOCH) {
    throw new FormatError('wrap', 'this does not open the account’s key');
  }
  return { account: by.account, epoch, key };
}
