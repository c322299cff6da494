// A server and its nodes in memory, behind fetch: tests make any of them lie.
import { ed25519 } from '@noble/curves/ed25519.js';
import type { LinkLook, PlacedRevision, Places, RevisionsPage } from '../api/types.gen.ts';
import { type Blake3, loadBlake3 } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { type Content, encodeBundle, KIND, newBundle } from '../format/descriptor.ts';
import { keyId, type NodeId, newId, newKey, parseId, toText, type UploadId } from '../format/id.ts';
import {
  deriveLinkKeys,
  fragmentOf,
  LINK_KIND,
  type LinkRecord,
  newLink,
  parseFragment,
  sealLinkRecord,
} from '../format/link.ts';
import { PIECE_SIZE, pieceCount } from '../format/stream.ts';
import { encodePayload } from '../format/ticket.ts';
import { signEnvelope } from '../format/vectors/signed.kit.ts';
import { checkNode, type KnownNode } from './calls.ts';
import { bytesSource, OutgoingStream } from './sealing.ts';

export interface TestNode {
  readonly id: NodeId;
  readonly seed: Bytes;
  readonly url: string;
  readonly declaration: string;
  readonly known: KnownNode;
}

export async function makeNode(
  jurisdiction: string,
  operator: string,
  host = jurisdiction.toLowerCase(),
): Promise<TestNode> {
  const seed = newKey();
  const publicKey = new Uint8Array(ed25519.getPublicKey(seed));
  const id = await keyId<'node'>(publicKey);
  const url = `http://${host}.test`;
  const payload = encodePayload('declaration', { publicKey, operator, jurisdiction, url, capacity: 1, day: 20_000 });
  const declaration = toText(await signEnvelope('declaration', seed, payload));
  return { id, seed, url, declaration, known: await checkNode({ id: toText(id), url, declaration }) };
}

/** A receipt as a node signs it. */
export async function receipt(
  node: TestNode,
  upload: UploadId,
  blobs: [Bytes, number][],
  seed = node.seed,
): Promise<string> {
  return toText(
    await signEnvelope('receipt', seed, encodePayload('receipt', { upload, node: node.id, day: 20_000, blobs })),
  );
}

export interface Stored {
  readonly content: Content;
  readonly revision: PlacedRevision;
  readonly blobs: { name: string; bytes: Bytes }[];
}

/** Seals a file as a sender does, each piece a blob of its own. */
export async function store(plain: Bytes, blake3: Blake3, firstBlob = 0): Promise<Stored> {
  const stream = await OutgoingStream.create(bytesSource(plain), blake3);
  const blobs: Stored['blobs'] = [];
  for (let piece = 0; piece < pieceCount(stream.length); piece++) {
    const size = Math.min(PIECE_SIZE, stream.length - piece * PIECE_SIZE);
    const out = await stream.sealPiece(piece, new Uint8Array(size), () => {});
    const name = blake3.hash(out);
    stream.note(piece, name);
    blobs.push({ name: toText(name), bytes: out });
  }
  const content = stream.content();
  const extents = blobs.map(({ bytes }, i): [number, number, number] => [firstBlob + i, 0, bytes.length]);
  const revision: PlacedRevision = {
    id: toText(content.revisionId),
    releaseKey: toText(stream.keys.releaseKey),
    commitment: toText(content.commitment),
    root: toText(content.root),
    salt: toText(stream.head.salt),
    prefix: toText(stream.head.prefix),
    length: stream.length,
    extents,
    extentCount: extents.length,
  };
  return { content, revision, blobs };
}

/** One link with one file, or with a bundle of files, at two nodes. */
export class World {
  readonly requests: string[] = [];
  readonly nodes: readonly TestNode[];
  readonly handle: string;
  readonly fragment: string;
  readonly look: LinkLook;
  readonly page: RevisionsPage;
  readonly blobs: ReadonlyMap<string, Bytes>;
  /** What a node answers instead of the blob; nothing leaves it as it is. */
  evil: ((node: TestNode, name: string, bytes: Bytes) => Response | Bytes | undefined) | undefined;
  /** What the server answers instead, by the last word of the path. */
  answers = new Map<string, () => Response>();

  private constructor(made: Pick<World, 'nodes' | 'handle' | 'fragment' | 'look' | 'page' | 'blobs'>) {
    this.nodes = made.nodes;
    this.handle = made.handle;
    this.fragment = made.fragment;
    this.look = made.look;
    this.page = made.page;
    this.blobs = made.blobs;
  }

  /** With stated, the record says something else of the bundle than it lists; with sealed, the descriptor of the one file than it is. */
  static async make(
    files: readonly (readonly [string, Bytes])[],
    password?: string,
    stated: { count?: number; bytes?: number } = {},
    sealed: Partial<Content> = {},
  ): Promise<World> {
    const blake3 = await loadBlake3();
    const nodes = [await makeNode('DE', 'One'), await makeNode('NZ', 'Two')];
    const stored: Stored[] = [];
    let count = 0;
    const put = async (plain: Bytes): Promise<Stored> => {
      const made = await store(plain, blake3, count);
      count += made.blobs.length;
      stored.push(made);
      return made;
    };
    const entries = [];
    for (const [path, plain] of files) entries.push({ path, kind: KIND.file, content: (await put(plain)).content });
    const [only] = entries;
    if (!only) throw new RangeError('a world without files');
    const bytes = files.reduce((n, [, plain]) => n + plain.length, 0);
    const content = { ...only.content, ...sealed };
    let record: LinkRecord = { kind: LINK_KIND.file, descriptor: { ...only, content } };
    let listing: Stored | undefined;
    if (entries.length > 1) {
      listing = await put(encodeBundle(newBundle(entries, 'several')));
      record = { kind: LINK_KIND.bundle, content: listing.content, count: entries.length, bytes, ...stated };
    }
    const link = newLink(password !== undefined);
    const keys = await deriveLinkKeys(link, password);
    const all = stored.flatMap((s) => s.blobs);
    const places: Places = {
      nodes: nodes.map(({ id, url, declaration }) => ({ id: toText(id), url, declaration })),
      blobs: all.map(({ name, bytes }) => ({
        upload: toText(newId<'upload'>()),
        name,
        size: bytes.length,
        nodes: [0, 1],
        ticket: 0,
      })),
      tickets: [{ ticket: 'ticket', expires: Math.floor(Date.now() / 1000) + 300 }],
    };
    const page: RevisionsPage = { ...places, revisions: stored.map((s) => s.revision) };
    const look: LinkLook = {
      record: toText(await sealLinkRecord(keys.recordKey, link.handle, record)),
      expires: 4_000_000_000,
      copies: places.nodes,
      ...(listing ? { listing: { ...places, revisions: [listing.revision] } } : {}),
    };
    const blobs = new Map(all.map(({ name, bytes }) => [name, bytes]));
    return new World({ nodes, handle: toText(link.handle), fragment: await fragmentOf(link), look, page, blobs });
  }

  /** Replaces what the link's record says. */
  async seal(record: LinkRecord): Promise<void> {
    const link = await parseFragment(parseId<'handle'>(this.handle), this.fragment);
    const keys = await deriveLinkKeys(link);
    Object.assign(this.look, { record: toText(await sealLinkRecord(keys.recordKey, link.handle, record)) });
  }

  /** The fetch of this world. */
  readonly fetch = async (input: string | URL | Request): Promise<Response> => {
    const url = String(input);
    this.requests.push(url);
    const node = this.nodes.find((n) => url.startsWith(n.url));
    if (!node) return this.#server(url);
    const name = /\/blobs\/([\w-]+)\?/.exec(url)?.[1] ?? '';
    const bytes = this.blobs.get(name);
    if (!bytes) return new Response(null, { status: 404 });
    const answer = this.evil?.(node, name, bytes.slice()) ?? bytes.slice();
    return answer instanceof Response ? answer : new Response(answer);
  };

  #server(url: string): Response {
    const what = url.slice(url.lastIndexOf('/') + 1);
    const other = this.answers.get(what);
    if (other) return other();
    if (what === 'look') return Response.json(this.look);
    if (what === 'sessions') return Response.json({ expires: 4_000_000_000 });
    if (what === 'revisions') return Response.json(this.page);
    if (what === 'extents') {
      const large = this.page.revisions.find((r) => r.extentCount > 1);
      return Response.json({ ...this.page, extents: large?.extents ?? [] });
    }
    return new Response(null, { status: 404 });
  }
}

/** A problem document of the server. */
export function problemAnswer(code: string, status: number, retryAfter?: number): Response {
  const body = {
    type: `urn:holdfast:problem:${code}`,
    title: code,
    status,
    code,
    ...(retryAfter ? { retryAfter } : {}),
  };
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/problem+json' } });
}
