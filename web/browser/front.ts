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
}

/** Returns what is answered instead, or nothing to leave the answer as it is. */
export type Evil = (seen: Seen, answer: Answer) => Answer | undefined;

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
    const given = this.evil?.(seen, plain) ?? plain;
    const { 'content-length': _, 'transfer-encoding': __, ...headers } = given.headers;
    res.writeHead(given.status, { ...headers, 'content-length': String(given.body.length) });
    res.end(given.body);
  }
}

/** Changes a JSON answer of the server whose path ends so. */
export function changeJson(ending: string, change: (json: Record<string, unknown>) => void): Evil {
  return ({ url }, answer) => {
    if (!url.split('?')[0]?.endsWith(ending) || answer.status !== 200) return undefined;
    const json = JSON.parse(String(answer.body)) as Record<string, unknown>;
    change(json);
    return { ...answer, body: Buffer.from(JSON.stringify(json)) };
  };
}

/** Changes the bytes that a node gives out. */
export function changeBlobs(change: (body: Buffer, name: string) => Buffer): Evil {
  return ({ method, url }, answer) => {
    const name = /^\/blobs\/([\w-]+)\?/.exec(url)?.[1];
    if (method !== 'GET' || name === undefined || answer.status !== 200) return undefined;
    return { ...answer, body: change(Buffer.from(answer.body), name) };
  };
}

export function flip(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}
