// A proxy before one service process: it sees all that passes, and may answer otherwise. Tests play the malicious
// server and the malicious node with it, between a real browser and the real program.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';

export interface Seen {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The connection breaks behind so many bytes of the body. */
  readonly breaksAfter?: number;
}

/** Returns what is answered instead, or nothing to leave the answer as it is. */
export type Evil = (seen: Seen, answer: Answer) => Answer | undefined | Promise<Answer | undefined>;

export class Front {
  readonly #server: Server;
  readonly url: string;
  /** Where the process listens; known once it runs. */
  target = '';
  /** Set to look at whole answers and to change them; without it bytes stream through. */
  evil: Evil | undefined;
  /** Set to keep whole requests. */
  recording = false;
  readonly seen: Seen[] = [];
  /** The rate of each body of a blob, in either direction; without it as fast as it goes. */
  bytesPerSecond: number | undefined;
  /** Told of bytes that pass in the bodies of blobs, to strike in the middle of them. */
  onBlobBytes: ((bytes: number) => void) | undefined;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (req, res) => this.#pass(req, res));
  }

  static async open(): Promise<Front> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Front(server);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #pass(req: IncomingMessage, res: ServerResponse): void {
    const seen: Seen = {
      method: req.method ?? '',
      url: req.url ?? '',
      headers: req.headers,
      body: Buffer.alloc(0),
    };
    if (this.recording) this.seen.push(seen);
    const out = request(new URL(seen.url, this.target), { method: seen.method, headers: req.headers }, (answer) => {
      if (this.evil) void this.#twist(seen, answer, res);
      else this.#stream(answer, res);
    });
    // A process that does not answer is, for the browser, a connection that breaks.
    out.on('error', () => res.destroy());
    res.on('close', () => out.destroy());
    const parts: Buffer[] = [];
    req.on('data', (part: Buffer) => {
      this.#note(seen, part);
      if (this.recording) parts.push(part);
      this.#hand(req, out, part, seen.url.startsWith('/blobs'));
    });
    req.on('end', () => {
      seen.body = Buffer.concat(parts);
      out.end();
    });
    req.on('error', () => out.destroy());
  }

  /** Writes a part on and lets the next one come when it is out and its time is over. */
  #hand(from: IncomingMessage, to: Writable, part: Buffer, blob: boolean): void {
    const full = !to.write(part);
    const wait = blob && this.bytesPerSecond ? (part.length * 1000) / this.bytesPerSecond : 0;
    if (!full && wait === 0) return;
    from.pause();
    const next = (): unknown => (to.writableNeedDrain ? to.once('drain', () => from.resume()) : from.resume());
    if (wait > 0) setTimeout(next, wait);
    else next();
  }

  #note(seen: Seen, part: Buffer): void {
    if (seen.url.startsWith('/blobs')) this.onBlobBytes?.(part.length);
  }

  #stream(answer: IncomingMessage, res: ServerResponse): void {
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    const blob = answer.headers['content-type'] === 'application/octet-stream';
    answer.on('data', (part: Buffer) => {
      if (blob) this.onBlobBytes?.(part.length);
      this.#hand(answer, res, part, blob);
    });
    answer.on('end', () => res.end());
    answer.on('error', () => res.destroy());
  }

  async #twist(seen: Seen, answer: IncomingMessage, res: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    answer.on('error', () => res.destroy());
    for await (const part of answer) parts.push(part as Buffer);
    const plain = { status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(parts) };
    const given: Answer = (await this.evil?.(seen, plain)) ?? plain;
    const { 'content-length': _, 'transfer-encoding': __, ...headers } = given.headers;
    res.writeHead(given.status, { ...headers, 'content-length': String(given.body.length) });
    if (given.breaksAfter === undefined) res.end(given.body);
    else res.write(given.body.subarray(0, given.breaksAfter), () => res.destroy());
  }
}

type Json = Record<string, unknown>;

/** Changes a JSON answer of the server whose path ends so. */
export function changeJson(ending: string, change: (json: Json) => void | Promise<void>): Evil {
  return async ({ url }, answer) => {
    if (!url.split('?')[0]?.endsWith(ending) || answer.status !== 200) return undefined;
    const json = JSON.parse(String(answer.body)) as Json;
    await change(json);
    return { ...answer, body: Buffer.from(JSON.stringify(json)) };
  };
}

/** Answers a call whose path ends so with a problem. */
export function refuse(ending: string, code: string, status: number, more: Json = {}): Evil {
  return ({ method, url }, { headers }) => {
    if (method === 'OPTIONS' || !url.split('?')[0]?.endsWith(ending)) return undefined;
    const problem = { type: `urn:holdfast:problem:${code}`, title: code, status, code, ...more };
    const type = { ...headers, 'content-type': 'application/problem+json' };
    return { status, headers: type, body: Buffer.from(JSON.stringify(problem)) };
  };
}

/** A node's lie about the bytes of a blob; those that are of parts know which by the query. */
export type BlobLie = (body: Buffer, name: string, query: URLSearchParams) => Buffer;

/** Changes the bytes that a node gives out. */
export function changeBlobs(change: BlobLie): Evil {
  return (seen, answer) => {
    const { name, query } = readIn(seen);
    if (name === undefined || answer.status !== 200) return undefined;
    return { ...answer, body: change(Buffer.from(answer.body), name, query) };
  };
}

/** Breaks the connection in the middle of a blob. */
export const breakBlobs: Evil = (seen, answer) =>
  readIn(seen).name !== undefined && answer.status === 200
    ? { ...answer, breaksAfter: answer.body.length >> 1 }
    : undefined;

function readIn({ method, url }: Seen): { name?: string; query: URLSearchParams } {
  const [, name, query] = /^\/blobs\/([\w-]+)\?(.*)$/.exec(url) ?? [];
  return { ...(method === 'GET' && name !== undefined ? { name } : {}), query: new URLSearchParams(query) };
}

/** A blob that a browser sends, as the node hears of it. */
export interface Sending {
  readonly name: string;
  readonly size: number;
  /** The upload ticket's text. */
  readonly ticket: string;
}

/** Answers a send with other receipts than those of the nodes that stored it. */
export function changeReceipts(receipts: (sending: Sending) => Promise<readonly string[]>): Evil {
  return async ({ method, url, headers }, answer) => {
    // With one copy to be made it is another node that asks.
    if (method !== 'POST' || url !== '/blobs' || headers['holdfast-copies'] !== '2') return undefined;
    const sending = {
      name: String(headers['holdfast-blob']),
      size: Number(headers['content-length']),
      ticket: String(headers['holdfast-ticket']),
    };
    const lines = (await receipts(sending)).map((receipt) => `${JSON.stringify({ receipt })}\n`);
    return { ...answer, status: 200, body: Buffer.from(lines.join('')) };
  };
}

export function flip(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}
