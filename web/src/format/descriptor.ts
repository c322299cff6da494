import { type Bytes, utf8 } from './bytes.ts';
import { refuse } from './cbor.ts';
import {
  array,
  b16,
  b32,
  decode,
  encode,
  type Infer,
  int,
  integer,
  map,
  optional,
  refine,
  required,
  type Shape,
  text,
  uint,
  yes,
} from './shape.ts';

// Descriptors and bundles (docs/format.md §9, §10). Whatever comes out of here obeys those sections; names are hostile
// all the same, and are shown and written by names.ts only.

/** The longest path, in bytes of UTF-8. */
export const MAX_PATH = 4096;
const MAX_NAME = 255;
const MAX_MEDIA_TYPE = 128;
const MAX_VERSIONS = 1024;
/** The greatest size of one encoded descriptor. */
export const MAX_DESCRIPTOR = 256 * 1024;
/** The greatest size of an encoded bundle, and the most descriptors in it. */
export const MAX_BUNDLE = 64 * 1024 * 1024;
export const MAX_ENTRIES = 2 ** 18;
/** The most components of a path in a bundle, and the most folders above its entries, listed themselves or not. */
export const MAX_DEPTH = 128;
export const MAX_FOLDERS = 2 ** 18;

/** What opens one revision, and what its stream must come out with. The release key stays at the server. */
export const contentShape = map({
  fileId: required(1, b16<'file'>()),
  revisionId: required(2, b16<'revision'>()),
  key: required(3, b32),
  commitment: required(4, b32),
  root: required(5, b32),
  trueSize: required(6, uint),
});
export type Content = Infer<typeof contentShape>;

/** The kinds of entry. */
export const KIND = { file: 1, folder: 2 } as const;

/** What is wrong with one component of a path, or nothing. */
export function nameFault(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'a component that is empty, . or ..';
  if (name.includes('/') || name.includes('\0')) return 'a slash or NUL in a component';
  return utf8(name).length > MAX_NAME ? `a component of more than ${MAX_NAME} bytes` : undefined;
}

function pathFault(path: string): string | undefined {
  for (const name of path.split('/')) {
    const fault = nameFault(name);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

interface Time {
  readonly mtime?: number;
  readonly mtimeNanos?: number;
}

function timeFault({ mtime, mtimeNanos }: Time): string | undefined {
  return mtimeNanos !== undefined && mtime === undefined ? 'nanoseconds without a time' : undefined;
}

const nanos = integer(1, 999_999_999);
const versionShape = refine(
  map({ content: required(1, contentShape), mtime: optional(2, int), mtimeNanos: optional(3, nanos) }),
  timeFault,
);
export type Version = Infer<typeof versionShape>;

const mediaType = refine(text(1, MAX_MEDIA_TYPE), (type) =>
  /^[ -~]*$/.test(type) ? undefined : 'a media type that is not printable ASCII',
);

const descriptorFields = map({
  path: required(1, refine(text(1, MAX_PATH), pathFault)),
  kind: required(2, integer(KIND.file, KIND.folder)),
  content: optional(3, contentShape),
  mediaType: optional(4, mediaType),
  mtime: optional(5, int),
  mtimeNanos: optional(6, nanos),
  executable: optional(7, yes),
  versions: optional(8, array(versionShape, 1, MAX_VERSIONS)),
  thumbnail: optional(9, contentShape),
});
export type Descriptor = Infer<typeof descriptorFields>;

function descriptorFault(entry: Descriptor): string | undefined {
  const { kind, content, mediaType, executable, versions, thumbnail } = entry;
  if (kind === KIND.file && content === undefined) return 'a file without content';
  if (kind === KIND.folder && (content ?? mediaType ?? executable ?? versions ?? thumbnail) !== undefined) {
    return 'a folder with what only files have';
  }
  return timeFault(entry);
}

export const descriptorShape: Shape<Descriptor> = refine(descriptorFields, descriptorFault);

export function encodeDescriptor(entry: Descriptor): Bytes {
  return encode(descriptorShape, entry, MAX_DESCRIPTOR);
}

export function decodeDescriptor(data: Bytes): Descriptor {
  return decode(descriptorShape, data, MAX_DESCRIPTOR);
}

const bundleFields = map({
  entries: required(1, array(descriptorShape, 1, MAX_ENTRIES)),
  title: optional(2, refine(text(1, MAX_NAME), nameFault)),
});
/** What one link to several files lists; entries are sorted by path, compared as bytes. */
export type Bundle = Infer<typeof bundleFields>;

/** A UTF-16 unit's rank: in UTF-8, what takes a surrogate pair comes after U+FFFF, in UTF-16 before U+E000. */
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}

/** The order of two paths, that of their bytes in UTF-8. */
export function comparePaths(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** The index of the first entry whose path is `path` or comes after it. */
function firstFrom(entries: readonly Descriptor[], path: string): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (comparePaths(entries[middle]?.path ?? '', path) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many slashes are in the path from there on. */
function slashes(path: string, from = 0): number {
  let count = 0;
  for (let at = path.indexOf('/', from); at >= 0; at = path.indexOf('/', at + 1)) count++;
  return count;
}

/** What is wrong with a path in a bundle, or nothing. */
export function listedPathFault(path: string): string | undefined {
  // Before anything is made of each component.
  return slashes(path) >= MAX_DEPTH ? `a path of more than ${MAX_DEPTH} components` : pathFault(path);
}

/**
 * How many folders lie above the path that lie above none of the paths before it in a sorted list. All that lies in one
 * folder stands together there, so that only the path just before can share it.
 */
function newFolders(before: string, path: string): number {
  let same = 0;
  while (same < before.length && before[same] === path[same]) same++;
  return slashes(path, same);
}

function bundleFault({ entries }: Bundle): string | undefined {
  let [before, folders] = ['', 0];
  for (const { path } of entries) {
    if (comparePaths(before, path) >= 0) return 'entries out of order, or one twice'; // no path is empty
    if (slashes(path) >= MAX_DEPTH) return `a path of more than ${MAX_DEPTH} components`;
    folders += newFolders(before, path);
    if (folders > MAX_FOLDERS) return `more than ${MAX_FOLDERS} folders above entries`;
    before = path;
  }
  // Asking for each ancestor of each path instead would let long paths cost their square.
  for (const { path, kind } of entries) {
    if (kind !== KIND.file) continue;
    const below = entries[firstFrom(entries, `${path}/`)];
    if (below?.path.startsWith(`${path}/`)) return 'an entry below a file';
  }
  return undefined;
}

const bundleShape = refine(bundleFields, bundleFault);

/** The encoding of a bundle, the plaintext of a content stream. */
export function encodeBundle(bundle: Bundle): Bytes {
  return encode(bundleShape, bundle, MAX_BUNDLE);
}

export function decodeBundle(data: Bytes): Bundle {
  return decode(bundleShape, data, MAX_BUNDLE);
}

/** The bundle of these entries, sorted; encoding it checks it. */
export function newBundle(entries: readonly Descriptor[], title?: string): Bundle {
  const sorted = entries.toSorted((a, b) => comparePaths(a.path, b.path));
  return title === undefined ? { entries: sorted } : { entries: sorted, title };
}

/** How many files are in a bundle, and the sum of their true sizes, as its link record states them. */
export function totals({ entries }: Bundle): { files: number; bytes: number } {
  let [files, bytes] = [0, 0];
  for (const { content } of entries) {
    if (content === undefined) continue;
    files++;
    bytes += content.trueSize;
    if (!Number.isSafeInteger(bytes)) refuse('sizes that add up to more than 2^53-1');
  }
  return { files, bytes };
}
