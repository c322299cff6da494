import { type Event, type Problem, VERSION } from '../api/types.gen.ts';
import type { Bytes } from '../format/bytes.ts';
import { isFirefox } from './memory.ts';
import { EngineError } from './types.ts';

// POST /blobs at a node (docs/protocol.md): bytes out, events back as they happen.

/** No byte accepted and no event for so long: the node is left. */
const STALL_MS = 10_000;
/** Bytes a millisecond below which a node is left while a body goes to it: the slowest lines that people still use. */
const LEAST_RATE = 4;
/** What a node may take for its own work and the second copy once it has a body: events alone do not hold a sender up. */
const ANSWER_MS = 30_000;
const LEAST_FORWARD_RATE = 32;

const bodyTime = (put: Put): number => 2 * STALL_MS + put.body.length / LEAST_RATE;
const answerTime = (put: Put): number => ANSWER_MS + put.body.length / LEAST_FORWARD_RATE;

export interface Put {
  readonly url: string;
  readonly ticket: string;
  readonly name: string;
  readonly chain: number;
  readonly body: Bytes;
  readonly signal: AbortSignal;
  readonly onSent: (bytes: number) => void;
  readonly onEvent: (event: Event) => Promise<void>;
}

/** A node that did not do its work; another one can. */
export class NodeError extends Error {
  override readonly name = 'NodeError';
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

function headers(put: Put): Record<string, string> {
  return {
    'Holdfast-Version': VERSION,
    'Holdfast-Ticket': put.ticket,
    'Holdfast-Blob': put.name,
    'Holdfast-Chain': String(put.chain),
    'Holdfast-Copies': '2',
    'Content-Type': 'application/octet-stream',
  };
}

interface Watch {
  alive(): void;
  /** The whole may take so long from now. */
  within(ms: number): void;
  stop(): void;
}

/** Calls `fail` when `alive` was not called for STALL_MS, or when the time for the whole is over. */
function watch(fail: () => void): Watch {
  let stall = setTimeout(fail, STALL_MS);
  let whole: ReturnType<typeof setTimeout> | undefined;
  return {
    alive: () => {
      clearTimeout(stall);
      stall = setTimeout(fail, STALL_MS);
    },
    within: (ms) => {
      clearTimeout(whole);
      whole = setTimeout(fail, ms);
    },
    stop: () => {
      clearTimeout(stall);
      clearTimeout(whole);
    },
  };
}

/** The longest answer, events or refusal; receipts of a few nodes are a small part of it. */
const MAX_ANSWER = 1 << 20;

function checkLength(characters: number): void {
  if (characters > MAX_ANSWER) throw new NodeError('garbage');
}

/** Splits a growing text into events. Throws NodeError where a node says what is none, or says too much. */
class Lines {
  #rest = '';
  #seen = 0;
  *push(text: string): Generator<Event> {
    this.#seen += text.length;
    checkLength(this.#seen);
    this.#rest += text;
    for (let end = this.#rest.indexOf('\n'); end >= 0; end = this.#rest.indexOf('\n')) {
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 1);
      if (line !== '') yield eventOf(line);
    }
  }
}

function eventOf(line: string): Event {
  try {
    const event: unknown = JSON.parse(line);
    if (isEvent(event)) return event;
  } catch {
    // said below
  }
  throw new NodeError('garbage');
}

/** An event without any field says only that the node is at work. */
function isEvent(value: unknown): value is Event {
  if (typeof value !== 'object' || value === null) return false;
  const { receipt, failed } = value as Record<string, unknown>;
  const holds = failed === undefined || (typeof failed === 'object' && failed !== null);
  return holds && (receipt === undefined || typeof receipt === 'string');
}

/** Sends one blob. Throws NodeError when another node should be tried. */
export function putBlob(put: Put): Promise<void> {
  return isFirefox ? putByFetch(put) : putByXhr(put);
}

/** XMLHttpRequest tells how many bytes are out, which fetch does not. */
function putByXhr(put: Put): Promise<void> {
  return new Promise((resolve, reject) => {
    if (put.signal.aborted) {
      reject(new EngineError('cancelled')); // no event tells of what has happened already
      return;
    }
    const xhr = new XMLHttpRequest();
    const lines = new Lines();
    let seen = 0;
    let events = Promise.resolve();
    const guard = watch(() => {
      end();
      xhr.abort();
      reject(new NodeError('stalled'));
    });
    const cancelled = (): void => {
      end();
      xhr.abort();
      reject(new EngineError('cancelled'));
    };
    const end = (): void => {
      guard.stop();
      put.signal.removeEventListener('abort', cancelled);
    };
    const broken = (error: unknown): void => {
      end();
      xhr.abort();
      reject(error);
    };
    const take = (): void => {
      const text = xhr.responseText;
      if (text.length === seen) return;
      try {
        checkLength(text.length);
        if (xhr.status !== 200) return;
        for (const event of lines.push(text.slice(seen))) events = events.then(() => put.onEvent(event));
      } catch (error) {
        broken(error);
      }
      events.catch(broken); // a receipt that does not hold: what the node says further is of no interest
      seen = text.length;
    };
    put.signal.addEventListener('abort', cancelled);
    guard.within(bodyTime(put));
    xhr.upload.onprogress = (e) => {
      guard.alive();
      put.onSent(e.loaded);
    };
    xhr.upload.onload = () => guard.within(answerTime(put));
    xhr.onprogress = () => {
      guard.alive();
      take();
    };
    xhr.onload = () => {
      end();
      take();
      if (xhr.status === 200) events.then(resolve, broken);
      else reject(new NodeError(codeOf(xhr.responseText, xhr.status)));
    };
    xhr.onerror = () => {
      end();
      reject(new NodeError('unreachable'));
    };
    xhr.open('POST', `${put.url}/blobs`);
    for (const [key, value] of Object.entries(headers(put))) xhr.setRequestHeader(key, value);
    xhr.send(put.body);
  });
}

/** Firefox keeps the bodies of XMLHttpRequests in memory, and not those of fetch. */
async function putByFetch(put: Put): Promise<void> {
  const stalled = new AbortController();
  const fail = (): void => stalled.abort();
  // There are no progress events: until the answer begins only the whole is timed, and the node is asked beside it.
  const slow = setTimeout(fail, bodyTime(put));
  let guard: Watch | undefined;
  const stopProbing = probe(put.url, fail);
  try {
    const response = await fetch(`${put.url}/blobs`, {
      method: 'POST',
      headers: headers(put),
      body: put.body,
      signal: AbortSignal.any([put.signal, stalled.signal]),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
    clearTimeout(slow);
    guard = watch(fail); // from here on a node that is at work says so every few seconds
    guard.within(answerTime(put));
    if (response.status !== 200 || !response.body) {
      throw new NodeError(codeOf(await refusal(response), response.status));
    }
    put.onSent(put.body.length);
    const lines = new Lines();
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      guard.alive();
      for (const event of lines.push(text)) await put.onEvent(event);
    }
  } catch (error) {
    if (put.signal.aborted) throw new EngineError('cancelled');
    if (error instanceof NodeError || error instanceof EngineError) throw error;
    throw new NodeError(stalled.signal.aborted ? 'stalled' : 'unreachable');
  } finally {
    clearTimeout(slow);
    guard?.stop();
    stopProbing();
  }
}

/** A problem document, which a node must not stretch without end. */
async function refusal(response: Response): Promise<string> {
  let text = '';
  if (!response.body) return text;
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    text += part;
    checkLength(text.length);
  }
  return text;
}

/** How often a node is asked whether it still answers while a body goes to it, and how long that may take on a full line. */
const PROBE_MS = 3000;
const PROBE_TIMEOUT_MS = 10_000;

/** Without progress events a stopped node looks like a slow line; asking beside the body tells them apart. */
function probe(url: string, fail: () => void): () => void {
  let misses = 0;
  let timer = setTimeout(ask, PROBE_MS);
  let over = false;
  async function ask(): Promise<void> {
    try {
      await fetch(`${url}/health?v=${VERSION}`, {
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
        cache: 'no-store',
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
      });
      misses = 0;
    } catch {
      misses++; // no answer at all; what the answer says is of no interest here
    }
    if (over) return;
    if (misses >= 2) fail();
    else timer = setTimeout(ask, PROBE_MS);
  }
  return () => {
    over = true;
    clearTimeout(timer);
  };
}

function codeOf(text: string, status: number): string {
  try {
    return (JSON.parse(text) as Problem).code;
  } catch {
    return `HTTP ${status}`;
  }
}
