import type { LinkLook, PlacedRevision, RevisionsPage } from '../api/types.gen.ts';
import { loadBlake3 } from '../format/blob.ts';
import { type Content, type Descriptor, decodeBundle, KIND, totals } from '../format/descriptor.ts';
import { FormatError } from '../format/errors.ts';
import { fromText, parseId, toText } from '../format/id.ts';
import { deriveLinkKeys, LINK_KIND, type Link, openLinkRecord, parseFragment } from '../format/link.ts';
import { planPaths, safeName } from '../format/names.ts';
import { streamLengthOf } from '../format/stream.ts';
import { call, checkNode } from './calls.ts';
import { linkError } from './errors.ts';
import { Reader } from './fetching.ts';
import { type Arrived, checkShape, collect, openFile } from './incoming.ts';
import type { DownloadFile, DownloadJob } from './messages.ts';
import { checkExtents, checkPlaces, covering, merge } from './regions.ts';
import { EngineError, type LinkEntry, type LinkView, type Place } from './types.ts';

// Opening a link. What it opens stays in this thread; pages get names and sizes only.

/** A bundle's listing may weigh 64 MiB; more is refused before it is read. */
const MAX_LISTING = 64 * 1024 * 1024;

/** What the server wants to see before it gives anything. */
export interface LinkAccess {
  readonly auth: string;
  /** The token of this tab's session: with one that runs, a link may be looked at that has no download left. */
  readonly session: string;
}

export interface OpenedLink {
  readonly view: LinkView;
  readonly descriptors: readonly Descriptor[];
  readonly access: LinkAccess;
  readonly handle: string;
}

/** Looks at a link: costs no download. Throws EngineError. */
export async function lookAt(
  handleText: string,
  fragment: string,
  password: string | null,
  session: string,
): Promise<OpenedLink> {
  const link = await parseLink(handleText, fragment);
  const { handle } = link;
  const keys = await deriveLinkKeys(link, password ?? undefined);
  const access: LinkAccess = { auth: toText(keys.auth), session };
  let look: LinkLook;
  try {
    look = await call('lookLink', { ...access }, { path: { handle: handleText } });
  } catch (error) {
    const wrong = error instanceof EngineError && error.code === 'wrong-key' && password !== null;
    throw wrong ? new EngineError('wrong-password') : error;
  }
  const sealed = fromText(look.record);
  if (!sealed) throw new EngineError('integrity', 'record');
  const record = await openLinkRecord(keys.recordKey, handle, sealed);
  if (record.kind === LINK_KIND.folder) throw new EngineError('folder-link');
  const opened =
    record.kind === LINK_KIND.file ? { entries: [record.descriptor] } : await listing(record.content, look);
  if (record.kind === LINK_KIND.bundle) {
    const { files, bytes } = totals(opened);
    if (files !== record.count || bytes !== record.bytes) throw new EngineError('integrity', 'listing');
  }
  const places: Place[] = [];
  for (const node of look.copies) places.push((await checkNode(node)).place);
  const view: LinkView = {
    id: handleText,
    kind: record.kind === LINK_KIND.file ? 'file' : 'bundle',
    title: record.kind === LINK_KIND.file ? record.descriptor.path : (opened.title ?? ''),
    entries: opened.entries.map(entryOf),
    bytes: opened.entries.reduce((n, d) => n + (d.content?.trueSize ?? 0), 0),
    expires: look.expires,
    downloadsLeft: look.downloadsLeft ?? null,
    places,
  };
  return { view, descriptors: opened.entries, access, handle: handleText };
}

/** A link from its text. Throws EngineError with cut, unknown-link or checksum. */
export async function parseLink(handle: string, fragment: string): Promise<Link> {
  try {
    return await parseFragment(parseId<'handle'>(handle), fragment);
  } catch (error) {
    throw linkError(error);
  }
}

function entryOf(d: Descriptor): LinkEntry {
  return {
    path: d.path,
    kind: d.kind === KIND.file ? 'file' : 'folder',
    size: d.content?.trueSize ?? 0,
    type: d.mediaType ?? '',
    mtime: millis(d),
  };
}

function millis({ mtime, mtimeNanos }: Descriptor): number | null {
  return mtime === undefined ? null : mtime * 1000 + Math.floor((mtimeNanos ?? 0) / 1_000_000);
}

async function listing(content: Content, look: LinkLook): Promise<{ entries: Descriptor[]; title?: string }> {
  const page = look.listing;
  const revision = page?.revisions[0];
  if (!page || !revision || revision.id !== toText(content.revisionId)) throw new EngineError('integrity', 'listing');
  if (content.trueSize > MAX_LISTING) throw new EngineError('integrity', 'listing');
  const blake3 = await loadBlake3();
  const pieces = readPieces(
    page,
    revision,
    streamLengthOf(content.trueSize),
    new Reader(blake3, new AbortController().signal, () => {}),
  );
  const plain = await collect(openFile({ ...content, size: content.trueSize }, revision, pieces, blake3));
  return decodeBundle(plain);
}

async function* readPieces(
  page: RevisionsPage,
  revision: PlacedRevision,
  length: number,
  reader: Reader,
): AsyncGenerator<Arrived> {
  checkPlaces(page);
  checkExtents(revision.extents, page.blobs, length);
  checkShape(revision.extents, length);
  const regions = merge(revision.extents);
  for (const extent of revision.extents) {
    const region = covering(regions, extent);
    const { bytes } = await reader.read(page, region);
    const from = extent[1] - region.from;
    yield { bytes: bytes.subarray(from, from + extent[2]), name: undefined };
  }
}

/** What the service worker needs to fetch one entry, or all. */
export function prepare(opened: OpenedLink, what: number | 'all'): DownloadJob {
  const { descriptors, view, handle } = opened;
  const { session } = opened.access;
  if (what !== 'all') {
    const one = descriptors[what];
    if (!one) throw new RangeError(`entry ${what}`);
    const name = safeName(one.path.slice(one.path.lastIndexOf('/') + 1));
    return { handle, session, name, zip: false, folders: [], files: [fileOf(one, name)] };
  }
  const names = planPaths(descriptors.map((d) => ({ path: d.path, folder: d.kind === KIND.folder })));
  const files = descriptors.flatMap((d, i) => (d.kind === KIND.file ? [fileOf(d, names[i] ?? '')] : []));
  const folders = descriptors.flatMap((d, i) => (d.kind === KIND.folder ? [names[i] ?? ''] : []));
  return {
    handle,
    session,
    name: `${safeName(view.title === '' ? 'holdfast' : view.title)}.zip`,
    zip: true,
    folders,
    files,
  };
}

function fileOf(d: Descriptor, name: string): DownloadFile {
  if (!d.content) throw new FormatError('encoding', 'a file without content');
  const { trueSize, ...content } = d.content;
  return { ...content, name, size: trueSize, mtime: millis(d), executable: d.executable === true };
}
