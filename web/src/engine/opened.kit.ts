// What the server and a receiver make of what was sent: opened by the format's own means, and by nothing of the engine.
import { type BlobEntry, MAX_PAGE, type RevisionEntry } from '../api/types.gen.ts';
import { MAX_BLOB } from '../format/blob.ts';
import { type Bytes, concat } from '../format/bytes.ts';
import { type Bundle, type Content, type Descriptor, decodeBundle } from '../format/descriptor.ts';
import { fromText, parseName, toText } from '../format/id.ts';
import {
  authHash,
  deriveLinkKeys,
  handleIn,
  LINK_KIND,
  type LinkRecord,
  openLinkRecord,
  parseFragment,
} from '../format/link.ts';
import { encodeHeader } from '../format/seal.ts';
import { openStream } from '../format/whole.ts';
import { independent } from './calls.ts';
import type { UploadWorld } from './upload.kit.ts';

/** All that an upload brought, through all of its pages. */
export interface Brought {
  readonly blobs: readonly BlobEntry[];
  readonly receipts: readonly string[];
  readonly revisions: readonly RevisionEntry[];
}

export function brought({ commit, pages }: UploadWorld): Brought {
  if (!commit) throw new RangeError('nothing was committed');
  const staged = Array.from({ length: commit.pages }, (_, i) => pages.get(i));
  const all = [...staged, commit.page];
  return {
    blobs: all.flatMap((p) => p?.blobs ?? []),
    receipts: all.flatMap((p) => p?.receipts ?? []),
    revisions: all.flatMap((p) => p?.revisions ?? []),
  };
}

/** Refuses what the server would refuse (docs/protocol.md, Upload 6 and 7). */
export async function checkCommit(world: UploadWorld): Promise<void> {
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new RangeError(what);
  };
  const { blobs, receipts, revisions } = brought(world);
  for (const { what, body } of world.calls)
    check(what === 'openUpload' || body.length <= MAX_PAGE, `${what} with ${body.length} bytes`);
  check(world.pages.size === world.commit?.pages, 'pages that do not count');
  const opened = await world.opened(receipts);
  const holders = (blob: BlobEntry): string[] =>
    opened.flatMap((r) => (r.blobs.some(([n, s]) => toText(n) === blob.name && s === blob.size) ? toText(r.node) : []));
  for (const { upload } of opened) check(toText(upload) === toText(world.upload), 'a receipt of another upload');
  for (const blob of blobs) {
    const nodes = world.nodes.filter((n) => holders(blob).includes(toText(n.id))).map((n) => n.known);
    const safe = nodes.some((a) => nodes.some((b) => independent(a, b)));
    check(safe && blob.size >= 1 && blob.size <= MAX_BLOB, 'a blob that does not stand twice');
  }
  const size = blobs.reduce((n, b) => n + b.size, 0);
  check(size === world.budget, `${size} bytes of ${world.budget}`);
  for (const { id, extents, length } of revisions) {
    for (const [blob, offset, part] of extents)
      check(offset >= 0 && part >= 1 && offset + part <= (blobs[blob]?.size ?? 0), `${id} lies outside its blob`);
    check(extents.reduce((n, [, , part]) => n + part, 0) === length, `${id} does not add up`);
  }
  const all = revisions.flatMap((r) => r.extents).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let [at, end] = [-1, 0];
  for (const [blob, offset, part] of all) {
    check(blob === at ? offset === end : blob === at + 1 && offset === 0, 'extents that overlap or leave a gap');
    [at, end] = [blob, offset + part];
  }
  check(new Set(revisions.map((r) => r.id)).size === revisions.length, 'a revision twice');
}

/** A link that was opened. */
export class Opened {
  readonly record: LinkRecord;
  readonly #world: UploadWorld;

  private constructor(world: UploadWorld, record: LinkRecord) {
    this.#world = world;
    this.record = record;
  }

  static async of(world: UploadWorld, link: string, password?: string): Promise<Opened> {
    const { pathname, hash } = new URL(link);
    const handle = handleIn(pathname);
    const keys = await deriveLinkKeys(await parseFragment(handle, hash.slice(1)), password);
    const spec = world.commit?.link;
    if (spec?.handle !== toText(handle)) throw new RangeError('another handle');
    if (spec.authHash !== toText(await authHash(keys.auth))) throw new RangeError('the server would not open it');
    return new Opened(world, await openLinkRecord(keys.recordKey, handle, fromText(spec.record) ?? new Uint8Array()));
  }

  /** The descriptor of a link to one file. */
  get file(): Descriptor {
    if (this.record.kind !== LINK_KIND.file) throw new RangeError('a bundle');
    return this.record.descriptor;
  }

  /** The list of a link to several. */
  async bundle(): Promise<Bundle> {
    if (this.record.kind !== LINK_KIND.bundle) throw new RangeError('a file');
    if (this.#world.commit?.link.listing !== toText(this.record.content.revisionId))
      throw new RangeError('another listing');
    return decodeBundle(await this.bytes(this.record.content));
  }

  /** A file's plaintext, from the blobs at the nodes. */
  bytes(content: Content | undefined): Promise<Bytes> {
    const { blobs, revisions } = brought(this.#world);
    const revision = revisions.find((r) => content && r.id === toText(content.revisionId));
    if (!content || !revision) throw new RangeError('no such revision');
    const parts = revision.extents.map(([blob, offset, length]) =>
      (this.#world.blobs.get(blobs[blob]?.name ?? '') ?? new Uint8Array()).subarray(offset, offset + length),
    );
    const stream = concat(...parts);
    const same =
      revision.commitment === toText(content.commitment) &&
      revision.root === toText(content.root) &&
      revision.length === stream.length &&
      toText(
        encodeHeader({ salt: parseName(revision.salt), prefix: fromText(revision.prefix) ?? new Uint8Array() }),
      ) === toText(stream.subarray(0, 40));
    if (!same) throw new RangeError('a revision that is another than its stream');
    return openStream(content, parseName(revision.releaseKey), stream);
  }
}
