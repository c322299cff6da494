import { type Bytes, concat, equal, sha256, utf8 } from './bytes.ts';
import { refuse } from './cbor.ts';
import { type Content, contentShape, type Descriptor, descriptorShape, KIND, nameFault } from './descriptor.ts';
import { FormatError } from './errors.ts';
import { fromText, type Handle, NAME_SIZE, newId, newKey, parseId, toText } from './id.ts';
import { deriveKey32, LABEL } from './kdf.ts';
import { openRecord, RECORD_OVERHEAD, sealRecord } from './record.ts';
import {
  b16,
  b32,
  decode,
  encode,
  type Infer,
  integer,
  map,
  optional,
  refine,
  required,
  type Shape,
  text,
  uint,
} from './shape.ts';

// Links (docs/format.md §11): the handle that the server sees, the fragment that it never sees, the keys that derive
// from it, and the sealed record that says what the link opens.

const VERSION = 1;
const PASSWORD_FLAG = 1;
const CHECKSUM_SIZE = 4;
const FRAGMENT_SIZE = 2 + NAME_SIZE + CHECKSUM_SIZE;
const FRAGMENT_CHARACTERS = 51;

const CHECKSUM_LABEL = utf8('holdfast/v1/link-checksum\0');
const AUTH_HASH_LABEL = utf8('holdfast/v1/link-auth-hash\0');
const MANAGE_HASH_LABEL = utf8('holdfast/v1/manage-hash\0');

/** What a share URL says, without the server's address. The secret is not for logs, titles or errors. */
export interface Link {
  readonly handle: Handle;
  readonly secret: Bytes;
  readonly needsPassword: boolean;
}

export function newLink(needsPassword: boolean): Link {
  return { handle: newId(), secret: newKey(), needsPassword };
}

async function checksum(handle: Handle, versioned: Uint8Array): Promise<Bytes> {
  return (await sha256(CHECKSUM_LABEL, handle, versioned)).slice(0, CHECKSUM_SIZE);
}

/** The part of the URL after #: the key. */
export async function fragmentOf({ handle, secret, needsPassword }: Link): Promise<string> {
  const body = concat(Uint8Array.of(VERSION, needsPassword ? PASSWORD_FLAG : 0), secret);
  return toText(concat(body, await checksum(handle, body)));
}

/**
 * The link with that handle whose part after # is `fragment`. What is wrong with it is told apart before anybody is
 * asked: not whole (`cut`), of a newer program (`unknown`), mistyped or another link's (`checksum`).
 */
export async function parseFragment(handle: Handle, fragment: string): Promise<Link> {
  const raw = fragment.length === FRAGMENT_CHARACTERS ? fromText(fragment) : undefined;
  if (raw === undefined) throw new FormatError('cut', 'the link is incomplete; copy it again, to its very end');
  const [version, flags = 0] = raw;
  if (version !== VERSION || (flags & ~PASSWORD_FLAG) !== 0) {
    throw new FormatError('unknown', `the link is of version ${version} with flags ${flags}; reload this page`);
  }
  const body = raw.subarray(0, FRAGMENT_SIZE - CHECKSUM_SIZE);
  if (!equal(await checksum(handle, body), raw.subarray(body.length))) {
    throw new FormatError('checksum', 'the link was mistyped, or its key belongs to another link');
  }
  return { handle, secret: raw.slice(2, 2 + NAME_SIZE), needsPassword: flags === PASSWORD_FLAG };
}

const PATH = '/s/';

/** The link without its key, at the server with that base URL. */
export function addressOf(base: string, handle: Handle): string {
  return `${base.replace(/\/$/, '')}${PATH}${toText(handle)}`;
}

/** The whole link, key included. */
export async function urlOf(base: string, link: Link): Promise<string> {
  return `${addressOf(base, link.handle)}#${await fragmentOf(link)}`;
}

/** The handle in a page's path, /s/HANDLE; a path that was cut is `cut`. */
export function handleIn(path: string): Handle {
  try {
    if (path.startsWith(PATH)) return parseId(path.slice(PATH.length).replace(/\/$/, ''));
  } catch (cause) {
    throw new FormatError('cut', 'the link is damaged before its #; copy it again', { cause });
  }
  throw new FormatError('cut', 'this is not the address of a link');
}

/** What a link's two sides derive from it. */
export interface LinkKeys {
  /** What the server compares the hash of. */
  readonly auth: Bytes;
  /** The purpose key of the link record. */
  readonly recordKey: Bytes;
}

/** The final key, from which the others derive; it is used for nothing else. */
export async function finalKey(link: Link, passwordKey?: Bytes): Promise<Bytes> {
  return deriveKey32(concat(link.secret, passwordKey ?? new Uint8Array(0)), LABEL.linkFinal, link.handle);
}

/** The link's keys. With a password this takes 64 MiB and about a second, and code that is fetched only now. */
export async function deriveLinkKeys(link: Link, password?: string): Promise<LinkKeys> {
  // Whoever gives a password for a link without one believes it protected.
  if (link.needsPassword !== (password !== undefined)) {
    throw new FormatError('password', link.needsPassword ? 'the link needs one' : 'the link has none');
  }
  let passwordKey: Bytes | undefined;
  if (password !== undefined) {
    const { linkPasswordKey } = await import('./password.ts');
    passwordKey = await linkPasswordKey(password, link.handle);
  }
  const final = await finalKey(link, passwordKey);
  const [auth, recordKey] = await Promise.all([
    deriveKey32(final, LABEL.linkAuth, link.handle),
    deriveKey32(final, LABEL.linkRecord, link.handle),
  ]);
  return { auth, recordKey };
}

/** What the server stores of a link's auth value. */
export function authHash(auth: Bytes): Promise<Bytes> {
  return sha256(AUTH_HASH_LABEL, auth);
}

/** What the server stores of the management secret, against which the sender revokes the link. */
export function manageHash(handle: Handle, secret: Bytes): Promise<Bytes> {
  return sha256(MANAGE_HASH_LABEL, handle, secret);
}

/** The greatest size of a sealed link record. */
export const MAX_LINK_RECORD = 64 * 1024;

/** What a link opens. */
export const LINK_KIND = { file: 1, bundle: 2, folder: 3 } as const;

/** What the sender seals for whoever holds the link: a file's descriptor, a bundle's stream with its totals, or a folder. */
export type LinkRecord = FileRecord | BundleRecord | FolderRecord;

export interface FileRecord {
  readonly kind: typeof LINK_KIND.file;
  readonly descriptor: Descriptor;
}

export interface BundleRecord {
  readonly kind: typeof LINK_KIND.bundle;
  readonly content: Content;
  /** Files in the bundle, and the sum of their true sizes. */
  readonly count: number;
  readonly bytes: number;
}

/** A folder of a drive: what opens its journal, and the journal's last entry when the link was made. */
export interface FolderRecord extends Required<Infer<typeof folderFields>> {
  readonly kind: typeof LINK_KIND.folder;
}

// As in journal-keys.ts, which the share page does not load.
const MAX_EPOCH = 4096;

const name = refine(text(1, 255), nameFault);
const fields = {
  folder: optional(6, b16<'folder'>()),
  epoch: optional(7, integer(1, MAX_EPOCH)),
  readKey: optional(8, b32),
  writeKey: optional(9, b32),
  adminKey: optional(10, b32),
  name: optional(11, name),
  seq: optional(12, integer(1, Number.MAX_SAFE_INTEGER)),
  hash: optional(13, b32),
};
const folderFields = map(fields);

const recordFields = map({
  kind: required(1, integer(LINK_KIND.file, LINK_KIND.folder)),
  descriptor: optional(2, descriptorShape),
  content: optional(3, contentShape),
  count: optional(4, uint),
  bytes: optional(5, uint),
  ...fields,
});

type Folder = Infer<typeof folderFields>;

const FOLDER_KEYS = Object.keys(fields) as (keyof Folder)[];
const whole = (folder: Folder): folder is Required<Folder> => FOLDER_KEYS.every((key) => folder[key] !== undefined);

function checkFile(descriptor: Descriptor): Descriptor {
  if (descriptor.kind !== KIND.file) refuse('a link to one file that is a folder');
  if (descriptor.path.includes('/')) refuse('a link to one file that lies in a folder');
  return descriptor;
}

const recordShape: Shape<LinkRecord> = {
  read(from) {
    const { kind, descriptor, content, count, bytes, ...folder } = recordFields.read(from);
    if (kind === LINK_KIND.folder) {
      if ((descriptor ?? content ?? count ?? bytes) !== undefined || !whole(folder))
        refuse('a folder without just that');
      return { kind, ...folder };
    }
    if (Object.keys(folder).length > 0) refuse('a file or bundle with what only folders have');
    if (kind === LINK_KIND.file) {
      if (descriptor === undefined || (content ?? count ?? bytes) !== undefined) refuse('a file without just that');
      return { kind, descriptor: checkFile(descriptor) };
    }
    if (content === undefined || count === undefined || bytes === undefined || descriptor !== undefined) {
      refuse('a bundle without just that');
    }
    return { kind: LINK_KIND.bundle, content, count, bytes };
  },
  write(to, record) {
    if (record.kind === LINK_KIND.file) checkFile(record.descriptor);
    recordFields.write(to, record);
  },
};

/** The plaintext of a link record. */
export function encodeLinkRecord(record: LinkRecord): Bytes {
  return encode(recordShape, record, MAX_LINK_RECORD - RECORD_OVERHEAD);
}

/** The sealed record of a link. */
export function sealLinkRecord(recordKey: Bytes, handle: Handle, record: LinkRecord, salt?: Bytes): Promise<Bytes> {
  const key = { purposeKey: recordKey, type: 'link', aad: handle };
  return sealRecord(key, encodeLinkRecord(record), MAX_LINK_RECORD, salt);
}

/** What the sealed record of a link says. */
export async function openLinkRecord(recordKey: Bytes, handle: Handle, record: Bytes): Promise<LinkRecord> {
  const key = { purposeKey: recordKey, type: 'link', aad: handle };
  return decode(recordShape, await openRecord(key, record, MAX_LINK_RECORD), MAX_LINK_RECORD);
}
