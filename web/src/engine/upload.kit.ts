// A server that takes uploads and the nodes of its tickets, behind fetch and XMLHttpRequest: tests make any of them lie.
import { ed25519 } from '@noble/curves/ed25519.js';
import { vi } from 'vitest';
import {
  type Code,
  type CommitRequest,
  type Event,
  endpoints,
  type Page,
  STATUS,
  type UploadGrant,
  VERSION,
} from '../api/types.gen.ts';
import { type Blake3, loadBlake3 } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { envelopeFromText } from '../format/envelope.ts';
import { newId, newKey, parseName, toText, type UploadId } from '../format/id.ts';
import { encodePayload, openSigned, type Receipt } from '../format/ticket.ts';
import { signEnvelope } from '../format/vectors/signed.kit.ts';
import { pass, until } from './clock.kit.ts';
import { fakeFetch, fakeXhr, line, type Post } from './post.kit.ts';
import type { ProgressNote } from './types.ts';
import { Upload } from './upload.ts';
import { makeNode, problemAnswer, receipt, type TestNode } from './world.kit.ts';

type Endpoint = keyof typeof endpoints;

/** What a node does with a request. */
export type Conduct = (post: Post, node: TestNode, world: UploadWorld) => void | Promise<void>;

export interface Call {
  readonly what: Endpoint;
  readonly url: string;
  readonly body: string;
  readonly authorization: string | undefined;
}

/** Whoever connects finds nobody. */
export const dead: Conduct = (post) => post.cut();
/** Takes a body and says nothing. */
export const silent: Conduct = (post) => post.accept(post.body.length);
export const refuses =
  (code: Code): Conduct =>
  (post) => {
    post.begin(STATUS[code]);
    post.say(JSON.stringify({ type: `urn:holdfast:problem:${code}`, title: code, status: STATUS[code], code }));
    post.end();
  };
/** An event that a node tells of a blob. */
export type Telling = (blob: [Bytes, number], world: UploadWorld, node: TestNode) => Event | Promise<Event>;
/** The node's own receipt, or that of another one. */
export const signed =
  (by?: TestNode): Telling =>
  async (blob, world, node) => ({ receipt: await receipt(by ?? node, world.upload, [blob]) });
/** Takes the body, tells these events, and goes on. */
export const tells =
  (...events: readonly Telling[]): Conduct =>
  async (post, node, world) => {
    post.accept(post.body.length);
    post.begin(200);
    for (const event of events) post.say(line(await event([parseName(nameOf(post)), post.body.length], world, node)));
  };
/** Takes the body and answers with these events. */
export const says =
  (...events: readonly Telling[]): Conduct =>
  async (post, node, world) => {
    await tells(...events)(post, node, world);
    post.end();
  };
/** Does one thing at its first request and another at the next ones. */
export function first(once: Conduct, later: Conduct): Conduct {
  let asked = 0;
  return (...args) => (asked++ === 0 ? once : later)(...args);
}
const problem = (code: Code): Event => ({
  problem: { type: `urn:holdfast:problem:${code}`, title: code, status: STATUS[code], code },
});
/** Stores the blob, and finds no second node. */
export const alone: Conduct = says(signed(), () => problem('forward-failed'));
/** Checks and stores as a node should, with the next of the chain that is as honest. */
export const honest: Conduct = (post, node, world) => {
  const fault = world.faultOf(post, node);
  if (fault !== undefined) return refuses(fault)(post, node, world);
  world.blobs.set(nameOf(post), post.body);
  const chain = world.chains[Number(post.headers.get('holdfast-chain'))] ?? [];
  const second = chain.find((n) => n !== node && (world.conduct.get(n) ?? honest) === honest);
  return (second ? says(signed(), () => ({}), signed(second)) : alone)(post, node, world);
};

export function nameOf(post: Post): string {
  return post.headers.get('holdfast-blob') ?? '';
}

const PATHS = (Object.keys(endpoints) as Endpoint[])
  .filter((name) => endpoints[name].party === 'server')
  .map((name) => {
    const { method, path } = endpoints[name];
    return { name, method, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[\\w-]+')}$`) };
  });

/** One upload at a server with three nodes. */
export class UploadWorld {
  readonly upload: UploadId = newId<'upload'>();
  readonly secret = toText(newKey());
  readonly nodes: readonly [TestNode, TestNode, TestNode];
  /** As the next ticket says. */
  chains: readonly (readonly TestNode[])[];
  /** How nodes behave that are not honest. */
  readonly conduct = new Map<TestNode, Conduct>();
  /** What the server answers instead; a throw is a network that is gone. */
  readonly answers = new Map<Endpoint, () => Response | Promise<Response>>();
  /** What the browser says of its network. */
  readonly navigator = { onLine: true, userAgent: '' };
  readonly posts: { node: TestNode; post: Post }[] = [];
  readonly calls: Call[] = [];
  readonly blobs = new Map<string, Bytes>();
  readonly pages = new Map<number, Page>();
  commit: CommitRequest | undefined;
  /** Seconds that a ticket lives. */
  lifetime = 3600;
  /** The one that honest nodes take. */
  ticket = '';
  budget = 0;
  readonly #seed = newKey();
  readonly #blake3: Blake3;

  private constructor(nodes: UploadWorld['nodes'], blake3: Blake3) {
    this.nodes = nodes;
    this.#blake3 = blake3;
    const [de, nz, is] = nodes;
    this.chains = [
      [de, nz],
      [is, nz],
    ];
  }

  static async make(): Promise<UploadWorld> {
    const nodes = [await makeNode('DE', 'One'), await makeNode('NZ', 'Two'), await makeNode('IS', 'Three')] as const;
    return new UploadWorld(nodes, await loadBlake3());
  }

  /** Puts this world where a worker's globals are. */
  install(): void {
    const onPost = (post: Post): void => {
      const node = this.#nodeAt(post.url);
      this.posts.push({ node, post });
      queueMicrotask(() => void (this.conduct.get(node) ?? honest)(post, node, this));
    };
    vi.stubGlobal('XMLHttpRequest', fakeXhr(onPost));
    vi.stubGlobal(
      'fetch',
      fakeFetch(onPost, (url, init) => this.#answer(url, init)),
    );
    vi.stubGlobal('navigator', this.navigator);
  }

  /** All nodes do this. */
  all(conduct: Conduct): void {
    for (const node of new Set([...this.nodes, ...this.chains.flat()])) this.conduct.set(node, conduct);
  }

  count(what: Endpoint): number {
    return this.calls.filter((c) => c.what === what).length;
  }

  #nodeAt(url: string): TestNode {
    const node = [...this.nodes, ...this.chains.flat()].find((n) => url === `${n.url}/blobs`);
    if (!node) throw new RangeError(`no node at ${url}`);
    return node;
  }

  /** Why an honest node would not take this. */
  faultOf(post: Post, node: TestNode): Code | undefined {
    if (post.headers.get('holdfast-version') !== VERSION) return 'unknown-version';
    if (post.headers.get('holdfast-ticket') !== this.ticket) return 'ticket-expired';
    if (!this.chains[Number(post.headers.get('holdfast-chain'))]?.includes(node)) return 'ticket-other-node';
    const name = toText(this.#blake3.hash(post.given));
    return name === nameOf(post) && post.headers.get('holdfast-copies') === '2' ? undefined : 'blob-mismatch';
  }

  /** A fresh ticket; honest nodes take no older one. */
  async grant(): Promise<UploadGrant> {
    const expires = Math.floor(Date.now() / 1000) + this.lifetime;
    const chains = this.chains.map((chain) => chain.map(({ id: node, url }) => ({ node, url })));
    const payload = encodePayload('upload-ticket', { upload: this.upload, chains, budget: this.budget, expires });
    this.ticket = toText(await signEnvelope('upload-ticket', this.#seed, payload));
    const nodes = [...new Set([...this.nodes, ...this.chains.flat()])];
    return {
      upload: toText(this.upload),
      ticket: this.ticket,
      nodes: nodes.map(({ id, url, declaration }) => ({ id: toText(id), url, declaration })),
      budget: this.budget,
      expires,
      closes: expires + 80_000,
      limits: { maxUploadBytes: 2 ** 40, defaultDays: 7, maxDays: 30, maxDownloads: 100, freeBytes: 2 ** 40 },
      fleet: 'fleet',
    };
  }

  async #answer(url: string, init: RequestInit): Promise<Response> {
    const method = init.method ?? 'GET';
    const what = PATHS.find((e) => e.method === method && e.pattern.test(url))?.name;
    if (!what) throw new RangeError(`${method} ${url}`);
    const authorization = (init.headers as Record<string, string>)['Authorization'];
    const body = typeof init.body === 'string' ? init.body : '';
    this.calls.push({ what, url, body, authorization });
    const { signal } = init;
    signal?.throwIfAborted();
    const aborted = new Promise<never>((_, reject) =>
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
    );
    return Promise.race([this.#serve(what, url, body, authorization), aborted]);
  }

  async #serve(what: Endpoint, url: string, body: string, authorization: string | undefined): Promise<Response> {
    const other = this.answers.get(what);
    if (other) return other();
    if (what !== 'openUpload' && authorization !== `Bearer ${this.secret}`) return problemAnswer('unauthorized', 401);
    if (what === 'openUpload') {
      this.budget = (JSON.parse(body) as { bytes: number }).bytes;
      return Response.json({ ...(await this.grant()), secret: this.secret });
    }
    if (what === 'getUpload') return Response.json(await this.grant());
    if (what === 'stagePage') this.pages.set(Number(url.slice(url.lastIndexOf('/') + 1)), JSON.parse(body) as Page);
    if (what === 'commitUpload') {
      this.commit = JSON.parse(body) as CommitRequest;
      return Response.json({ expires: this.commit.link.expires + 1800, copies: [] });
    }
    return new Response(null, { status: 204 });
  }

  /** What receipts say, under the keys of this world's nodes. */
  opened(texts: readonly string[]): Promise<Receipt[]> {
    const keys = [...this.nodes, ...this.chains.flat()].map((n) => new Uint8Array(ed25519.getPublicKey(n.seed)));
    return Promise.all(texts.map((text) => openSigned('receipt', keys, envelopeFromText(text))));
  }
}

export interface TestBlob {
  readonly name: Bytes;
  readonly bytes: Bytes;
}
export async function blobOf(bytes: Bytes): Promise<TestBlob> {
  return { name: (await loadBlake3()).hash(bytes), bytes };
}

/** A store that goes on, and what came of it: "stored" or the error, and when. */
export class Storing {
  outcome: unknown;
  /** Seconds on the test's clock. */
  took = 0;

  constructor(upload: Upload, { name, bytes }: TestBlob) {
    const started = Date.now();
    const settle = (outcome: unknown): void => {
      this.outcome = outcome;
      this.took = (Date.now() - started) / 1000;
    };
    upload.store(name, bytes).then(() => settle('stored'), settle);
  }
  /** Until it is over without that a timer runs out. */
  async over(): Promise<unknown> {
    await until(() => this.outcome !== undefined);
    return this.outcome;
  }
  /** Until it is over, by nothing but timers. */
  async given(seconds: number): Promise<unknown> {
    for (let s = 0; s < seconds && this.outcome === undefined; s++) await pass(1000);
    return this.outcome;
  }
}

/** Who uploads to a world, and what it was told on the way. */
export class Sender {
  readonly abort = new AbortController();
  readonly events = { sent: vi.fn(), stored: vi.fn(), note: vi.fn() };
  readonly #world: UploadWorld;

  constructor(world: UploadWorld) {
    this.#world = world;
  }
  open(): Promise<Upload> {
    return Upload.open(10_000, 7, this.abort.signal, this.events);
  }
  /** The countries of the nodes that were asked, in order. */
  get asked(): string[] {
    return this.#world.posts.map(({ node }) => node.known.place.jurisdiction);
  }
  get notes(): (ProgressNote | undefined)[] {
    return this.events.note.mock.calls.map(([note]) => note as ProgressNote | undefined);
  }
  count(kind: ProgressNote['kind']): number {
    return this.notes.filter((note) => note?.kind === kind).length;
  }
}
