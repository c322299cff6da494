import type { BlobEntry, RevisionEntry } from '../api/types.gen.ts';
import { type Blake3, loadBlake3, MAX_PACKED } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import {
  type Content,
  type Descriptor,
  encodeBundle,
  KIND,
  MAX_BUNDLE,
  newBundle,
  totals,
} from '../format/descriptor.ts';
import { newKey, toText } from '../format/id.ts';
import {
  addressOf,
  authHash,
  deriveLinkKeys,
  fragmentOf,
  LINK_KIND,
  type Link,
  type LinkKeys,
  type LinkRecord,
  manageHash,
  newLink,
  sealLinkRecord,
  urlOf,
} from '../format/link.ts';
import { PIECE_SIZE } from '../format/stream.ts';
import { commit, makePages } from './commit.ts';
import { free, isFirefox } from './memory.ts';
import { checkNames } from './names.ts';
import { type BlobPlan, planBlobs, totalLength } from './plan.ts';
import { bytesSource, fileSource, OutgoingStream, type Source } from './sealing.ts';
import { SendMeter } from './sendmeter.ts';
import { EngineError, type SendItem, type SendOptions, type SendProgress, type SendResult } from './types.ts';
import { Upload } from './upload.ts';

// A send from the first byte to the link. It runs in a worker of its own.

/** Blobs under way at once; each holds a buffer of 8 MiB until it stands twice. */
const IN_FLIGHT = isFirefox ? 2 : 3;
const DAY_S = 86_400;
/** How often progress is told when nothing happens. */
const TICK_MS = 1000;

type FileItem = Extract<SendItem, { file: File }>;

interface MadeBlob {
  readonly entry: BlobEntry;
  readonly name: Bytes;
}

export interface SendJob {
  readonly origin: string;
  readonly items: readonly SendItem[];
  readonly options: SendOptions;
}

/** A link that nobody knows yet. */
interface Drawn {
  readonly link: Link;
  readonly keys: LinkKeys;
}

export class Send {
  readonly #job: SendJob;
  readonly #files: FileItem[];
  readonly #single: boolean;
  /** Aborted with the first failure, so that all that is under way ends with it. */
  readonly #stop = new AbortController();
  /** The sender's cancel, or a failure. */
  readonly #signal: AbortSignal;
  /** Blobs on their way to nodes. */
  readonly #flying = new Set<Promise<void>>();
  readonly #meter: SendMeter;
  readonly #streams: OutgoingStream[] = [];
  readonly #blobs: MadeBlob[] = [];
  readonly #extents: [number, number, number][][] = [];
  readonly #spare: Bytes[] = [];
  /** Blobs that a file waits for, by its number; a file is done when none is left. */
  readonly #waiting: number[] = [];
  #blake3!: Blake3;
  #upload!: Upload;

  constructor(job: SendJob, signal: AbortSignal, onProgress: (p: SendProgress) => void) {
    checkNames(job.items, job.options.title);
    this.#job = job;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#files = job.items.filter((i): i is FileItem => 'file' in i).sort((a, b) => (a.path < b.path ? -1 : 1));
    this.#single = this.#files.length === 1 && job.items.length === 1;
    this.#meter = new SendMeter(this.#files.length, onProgress);
  }

  async run(): Promise<SendResult> {
    const ticking = setInterval(() => this.#meter.tick(), TICK_MS);
    try {
      return await this.#run();
    } finally {
      clearInterval(ticking);
    }
  }

  async #run(): Promise<SendResult> {
    // First, because a password may turn out not to be usable, and what it needs may not be there later.
    const link = newLink(this.#job.options.password !== undefined);
    const keys = await deriveLinkKeys(link, this.#job.options.password);
    const sizes = this.#files.map((i) => i.file.size);
    const listingSize = this.#single ? null : this.#listing(this.#files.map(() => placeholder)).length;
    const all = listingSize === null ? sizes : [...sizes, listingSize];
    if (listingSize !== null && listingSize > MAX_BUNDLE) throw new EngineError('over-limit', 'the list of files');
    const total = totalLength(all);
    this.#meter.start(total);
    this.#blake3 = await loadBlake3();
    this.#upload = await Upload.open(total, this.#job.options.days, this.#signal, this.#meter);
    try {
      return await this.#commit(await this.#store(all, listingSize), { link, keys });
    } catch (error) {
      await this.#giveUp(error);
      throw this.#stop.signal.reason; // what failed first: the others only say that they were cancelled
    }
  }

  /** Nothing leaves any more once the upload is given up. */
  async #giveUp(error: unknown): Promise<void> {
    this.#stop.abort(error);
    await Promise.allSettled(this.#flying);
    await this.#upload.abandon().catch(() => {
      // It closes by itself within a day; the first error is the one that matters.
    });
  }

  async #store(sizes: readonly number[], listingSize: number | null): Promise<Content[]> {
    const plans = planBlobs(sizes);
    for (const { stream } of plans.flat()) this.#waiting[stream] = (this.#waiting[stream] ?? 0) + 1;
    // The listing names the roots of all files, so that the blobs with its parts come last, when all others are sealed.
    const listing = sizes.length - 1;
    const isLate = (plan: BlobPlan): boolean => listingSize !== null && plan.some((part) => part.stream === listing);
    await this.#makeAll(plans.filter((p) => !isLate(p)));
    await this.#makeAll(plans.filter(isLate));
    return this.#streams.map((s) => s.content());
  }

  async #makeAll(plans: readonly BlobPlan[]): Promise<void> {
    for (const plan of plans) {
      while (this.#flying.size >= IN_FLIGHT) await Promise.race(this.#flying);
      const { name, body } = await this.#sealBlob(plan);
      const sending = this.#upload.store(name, body).then(() => {
        this.#flying.delete(sending);
        this.#stood(plan);
        if (body.buffer.byteLength === PIECE_SIZE) this.#spare.push(new Uint8Array(body.buffer));
      });
      sending.catch((error: unknown) => this.#stop.abort(error));
      this.#flying.add(sending);
    }
    await Promise.all(this.#flying);
  }

  /** A blob stands twice: files of which it was the last are done. */
  #stood(plan: BlobPlan): void {
    for (const { stream } of plan) {
      const left = (this.#waiting[stream] ?? 0) - 1;
      this.#waiting[stream] = left;
      if (left === 0 && stream < this.#files.length) this.#meter.fileDone();
    }
  }

  /** Seals a blob's parts one after the other into one buffer and hashes it once. */
  async #sealBlob(plan: BlobPlan): Promise<{ name: Bytes; body: Bytes }> {
    const size = plan.reduce((n, part) => n + part.length, 0);
    const buffer = this.#spare.pop() ?? new Uint8Array(PIECE_SIZE);
    let body = buffer.subarray(0, size);
    let at = 0;
    for (const part of plan) {
      const stream = await this.#stream(part.stream);
      const out = await stream.sealPiece(part.piece, body.subarray(at, at + part.length), free);
      body = new Uint8Array(out.buffer, 0, size);
      if (this.#signal.aborted) throw new EngineError('cancelled');
      this.#extents[part.stream] ??= [];
      this.#extents[part.stream]?.push([this.#blobs.length, at, part.length]);
      if (stream.length <= MAX_PACKED) stream.notePacked(out);
      at += part.length;
      this.#meter.encrypted(part.length);
    }
    const name = this.#blake3.hash(body);
    for (const part of plan)
      if ((this.#streams[part.stream]?.length ?? 0) > MAX_PACKED) this.#streams[part.stream]?.note(part.piece, name);
    this.#blobs.push({ entry: { name: toText(name), size }, name });
    return { name, body };
  }

  async #stream(index: number): Promise<OutgoingStream> {
    const known = this.#streams[index];
    if (known) return known;
    const made = await OutgoingStream.create(this.#source(index), this.#blake3);
    this.#streams[index] = made;
    return made;
  }

  #source(index: number): Source {
    const item = this.#files[index];
    if (item) return fileSource(item.file, item.path);
    return bytesSource(this.#listing(this.#streams.slice(0, this.#files.length).map((s) => s.content())));
  }

  #listing(contents: readonly Content[]): Bytes {
    return encodeBundle(newBundle(this.#entries(contents), this.#job.options.title ?? rootOf(this.#job.items)));
  }

  #entries(contents: readonly Content[]): Descriptor[] {
    const files = this.#files.map((item, i) => describe(item, contents[i] ?? placeholder));
    const folders = this.#job.items
      .filter((i) => 'dir' in i)
      .map((i): Descriptor => ({ path: i.path, kind: KIND.folder }));
    return [...files, ...folders];
  }

  #record(contents: readonly Content[]): LinkRecord {
    const [only] = this.#files;
    const listing = contents[contents.length - 1];
    if (!listing) throw new EngineError('internal', 'nothing was sealed');
    if (this.#single && only) {
      const descriptor = describe(only, listing);
      return { kind: LINK_KIND.file, descriptor: { ...descriptor, path: baseName(only.path) } };
    }
    const { files, bytes } = totals({ entries: this.#entries(contents) });
    return { kind: LINK_KIND.bundle, content: listing, count: files, bytes };
  }

  async #commit(contents: readonly Content[], { link, keys }: Drawn): Promise<SendResult> {
    this.#meter.stage('committing');
    const { days, downloads } = this.#job.options;
    const secret = newKey();
    const record = await sealLinkRecord(keys.recordKey, link.handle, this.#record(contents));
    const last = contents[contents.length - 1];
    const spec = {
      handle: toText(link.handle),
      authHash: toText(await authHash(keys.auth)),
      manageHash: toText(await manageHash(link.handle, secret)),
      record: toText(record),
      ...(this.#single || !last ? {} : { listing: toText(last.revisionId) }),
      expires: Math.floor(Date.now() / 1000) + days * DAY_S,
      downloads,
    };
    const blobs = this.#blobs.map(({ entry, name }) => ({ entry, receipts: this.#upload.receipts.texts(name) }));
    const done = await commit(this.#upload, makePages(blobs, this.#revisions(contents)), spec);
    this.#meter.stage('done');
    return this.#result(link, secret, done.expires);
  }

  #revisions(contents: readonly Content[]): RevisionEntry[] {
    return this.#streams.map((stream, i) => {
      const content = contents[i] as Content;
      return {
        id: toText(content.revisionId),
        releaseKey: toText(stream.keys.releaseKey),
        commitment: toText(content.commitment),
        root: toText(content.root),
        salt: toText(stream.head.salt),
        prefix: toText(stream.head.prefix),
        length: stream.length,
        extents: this.#extents[i] ?? [],
      };
    });
  }

  async #result(link: Link, secret: Bytes, expires: number): Promise<SendResult> {
    const { origin, options, items } = this.#job;
    return {
      link: await urlOf(origin, link),
      linkWithoutKey: addressOf(origin, link.handle),
      key: await fragmentOf(link),
      handle: toText(link.handle),
      manageSecret: toText(secret),
      expires,
      downloads: options.downloads,
      password: options.password !== undefined,
      ...this.#upload.places(this.#blobs.map((b) => b.name)),
      title: options.title ?? titleOf(items),
      files: this.#files.length,
      bytes: this.#files.reduce((n, i) => n + i.file.size, 0),
    };
  }
}

/** Stands for a content that is not sealed yet; its encoding has the same length, but for the true size. */
const zero32 = new Uint8Array(32);
const placeholder: Content = {
  fileId: new Uint8Array(16),
  revisionId: new Uint8Array(16),
  key: zero32,
  commitment: zero32,
  root: zero32,
  trueSize: 0,
};

function describe({ file, path }: FileItem, content: Content): Descriptor {
  const seconds = Math.floor(file.lastModified / 1000);
  const nanos = (file.lastModified - seconds * 1000) * 1_000_000;
  const mediaType = /^[ -~]{1,128}$/.test(file.type) ? file.type : undefined;
  return {
    path,
    kind: KIND.file,
    content: { ...content, trueSize: file.size },
    ...(mediaType === undefined ? {} : { mediaType }),
    mtime: seconds,
    ...(nanos > 0 ? { mtimeNanos: nanos } : {}),
  };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The one folder that everything is in. */
function rootOf(items: readonly SendItem[]): string | undefined {
  const [first = ''] = items[0]?.path.split('/') ?? [];
  return items.every((i) => i.path.startsWith(`${first}/`)) ? first : undefined;
}

/** What the sender calls it: the file's name, the one folder's name, or a count. */
function titleOf(items: readonly SendItem[]): string {
  if (items.length === 1) return baseName(items[0]?.path ?? '');
  return rootOf(items) ?? `${items.length} files`;
}
