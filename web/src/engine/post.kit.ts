// The node's end of POST /blobs, under both ways by which browsers send it. The test says what the node does, and when.
import type { Bytes } from '../format/bytes.ts';

/** A request as a node sees it, and the browser's hand while it goes on. */
export interface Post {
  readonly url: string;
  readonly method: string;
  /** Their names in small letters. */
  readonly headers: ReadonlyMap<string, string>;
  /** The bytes as they were when the request was made. */
  readonly body: Bytes;
  /** The sender's own buffer, which must not change before the request is over. */
  readonly given: Bytes;
  /** "aborted" is the sender's doing, "broken" the network's. */
  readonly state: 'open' | 'ended' | 'aborted' | 'broken';
  /** So many bytes of the body are out; fetch tells nobody. */
  accept(bytes: number): void;
  /** The answer begins. */
  begin(status: number): void;
  say(text: string | Uint8Array): void;
  end(): void;
  /** The connection is gone. */
  cut(): void;
}

/** An event as nodes write it. */
export const line = (event: object): string => `${JSON.stringify(event)}\n`;

const bytesOf = (text: string | Uint8Array): Uint8Array =>
  typeof text === 'string' ? new TextEncoder().encode(text) : text;

/** A class to stand for XMLHttpRequest. */
export function fakeXhr(onPost: (post: Post) => void): new () => Post {
  return class implements Post {
    readonly upload: { onprogress?: (event: { loaded: number }) => void; onload?: () => void } = {};
    onprogress?: () => void;
    onload?: () => void;
    onerror?: () => void;
    status = 0;
    responseText = '';
    url = '';
    method = '';
    readonly headers = new Map<string, string>();
    body: Bytes = new Uint8Array();
    given: Bytes = new Uint8Array();
    state: Post['state'] = 'open';
    readonly #decoder = new TextDecoder();

    open(method: string, url: string): void {
      this.method = method;
      this.url = url;
    }
    setRequestHeader(name: string, value: string): void {
      this.headers.set(name.toLowerCase(), value);
    }
    send(body: Bytes): void {
      this.given = body;
      this.body = body.slice();
      onPost(this);
    }
    abort(): void {
      if (this.state === 'open') this.state = 'aborted';
    }

    accept(bytes: number): void {
      if (this.state !== 'open') return;
      this.upload.onprogress?.({ loaded: bytes });
      if (bytes === this.body.length) this.upload.onload?.();
    }
    begin(status: number): void {
      if (this.state === 'open') this.status = status;
    }
    say(text: string | Uint8Array): void {
      if (this.state !== 'open') return;
      this.responseText += this.#decoder.decode(bytesOf(text), { stream: true });
      this.onprogress?.();
    }
    end(): void {
      if (this.state !== 'open') return;
      this.state = 'ended';
      this.onload?.();
    }
    cut(): void {
      if (this.state !== 'open') return;
      this.state = 'broken';
      this.status = 0;
      this.responseText = '';
      this.onerror?.();
    }
  };
}

/** The other side of a fetch of POST /blobs. */
class Fetched implements Post {
  readonly url: string;
  readonly method: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Bytes;
  readonly given: Bytes;
  state: Post['state'] = 'open';
  readonly response: Promise<Response>;
  #answer: (response: Response) => void = () => {};
  #refuse: (error: unknown) => void = () => {};
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(url: string, { method, headers, body, signal }: RequestInit) {
    this.url = url;
    this.method = method ?? 'GET';
    const named = Object.entries(headers as Record<string, string>);
    this.headers = new Map(named.map(([name, value]) => [name.toLowerCase(), value]));
    this.given = body as Bytes;
    this.body = this.given.slice();
    this.response = new Promise((resolve, reject) => {
      this.#answer = resolve;
      this.#refuse = reject;
    });
    const abort = (): void => this.#over('aborted', signal?.reason);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  }

  #over(state: 'aborted' | 'broken', error: unknown): void {
    if (this.state !== 'open') return;
    this.state = state;
    this.#refuse(error);
    this.#stream?.error(error);
  }

  accept(): void {
    // Nobody hears of it.
  }
  begin(status: number): void {
    if (this.state !== 'open' || this.#stream) return;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#stream = controller;
      },
      cancel: () => this.#over('aborted', undefined),
    });
    this.#answer(new Response(stream, { status }));
  }
  say(text: string | Uint8Array): void {
    if (this.state === 'open') this.#stream?.enqueue(bytesOf(text));
  }
  end(): void {
    if (this.state !== 'open') return;
    this.state = 'ended';
    this.#stream?.close();
  }
  cut(): void {
    this.#over('broken', new TypeError('network'));
  }
}

/** A fetch that gives POST /blobs to `onPost`, and everything else to `other`. */
export function fakeFetch(
  onPost: (post: Post) => void,
  other: (url: string, init: RequestInit) => Promise<Response>,
): (input: string, init?: RequestInit) => Promise<Response> {
  return (input, init = {}) => {
    if (!(init.method === 'POST' && input.endsWith('/blobs'))) return other(input, init);
    const fetched = new Fetched(input, init);
    onPost(fetched);
    return fetched.response;
  };
}
