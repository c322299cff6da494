// A blob that goes to one node, whose end the test holds, by either way in which browsers send it.
import { getEventListeners } from 'node:events';
import { expect, vi } from 'vitest';
import type { Event } from '../api/types.gen.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { pass } from './clock.kit.ts';
import { fakeFetch, fakeXhr, type Post } from './post.kit.ts';
import type { Put } from './put.ts';

export const BODY = pattern(1 << 20);
export const AGENT = {
  XMLHttpRequest: 'Mozilla/5.0 Chrome/156.0.0.0',
  fetch: 'Mozilla/5.0 Gecko/20100101 Firefox/153.0',
};
export type Way = keyof typeof AGENT;

/** What the time-outs of put.ts come to for BODY. */
export const BODY_MS = 20_000 + BODY.length / 4;
export const ANSWER_MS = 30_000 + BODY.length / 32;

/** A put that goes on, and all that came of it so far. */
export interface Run {
  readonly post: Post;
  readonly signal: AbortSignal;
  readonly events: Event[];
  readonly sent: number[];
  readonly cancel: () => void;
  /** "stored", or the error. */
  outcome: unknown;
}

export class Bench {
  /** What other requests than POST /blobs get. */
  health: (url: string, init: RequestInit) => Promise<Response> = () => Promise.resolve(Response.json({}));
  asked: { url: string; init: RequestInit }[] = [];
  #posts: Post[] = [];
  #runs: Run[] = [];
  #put!: typeof import('./put.ts');
  #types!: typeof import('./types.ts');

  /** Which browser this is, is looked up when the module is loaded. */
  async load(way: Way): Promise<void> {
    vi.stubGlobal('navigator', { userAgent: AGENT[way] });
    vi.resetModules();
    this.#put = await import('./put.ts');
    this.#types = await import('./types.ts');
    vi.unstubAllGlobals();
  }
  /** Before each test. */
  open(): void {
    vi.useFakeTimers();
    [this.#posts, this.#runs, this.asked] = [[], [], []];
    this.health = () => Promise.resolve(Response.json({}));
    const onPost = (post: Post): void => void this.#posts.push(post);
    vi.stubGlobal('XMLHttpRequest', fakeXhr(onPost));
    const other = (url: string, init: RequestInit): Promise<Response> => {
      this.asked.push({ url, init });
      return this.health(url, init);
    };
    vi.stubGlobal('fetch', fakeFetch(onPost, other));
  }
  /** After each test: everything is over, and no timer and no listener is left. */
  close(): void {
    for (const { signal, outcome } of this.#runs) {
      expect(outcome).toBeDefined();
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    }
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  }

  start(onEvent?: Put['onEvent']): Run {
    const abort = new AbortController();
    const { signal } = abort;
    const events: Event[] = [];
    const sent: number[] = [];
    const done = this.#put.putBlob({
      url: 'https://de.test',
      ticket: 'the-ticket',
      name: 'the-name',
      chain: 3,
      body: BODY,
      signal,
      onSent: (bytes) => sent.push(bytes),
      onEvent: onEvent ?? (async (event) => void events.push(event)),
    });
    const post = this.#posts.at(-1);
    if (!post) throw new RangeError('nothing was sent');
    const run: Run = { post, signal, events, sent, cancel: () => abort.abort(), outcome: undefined };
    const settle = (outcome: unknown): void => {
      run.outcome = outcome;
    };
    done.then(() => settle('stored'), settle);
    this.#runs.push(run);
    return run;
  }

  /** What comes of a put whose signal was aborted before, and how many bytes of it were asked to go out. */
  async startCancelled(): Promise<{ outcome: unknown; posts: number }> {
    const before = this.#posts.length;
    const put = { url: 'https://de.test', ticket: 't', name: 'n', chain: 0, body: BODY, signal: AbortSignal.abort() };
    const done = this.#put.putBlob({ ...put, onSent: () => {}, onEvent: async () => {} });
    const outcome = await done.then(
      () => 'stored',
      (error: unknown) => error,
    );
    return { outcome, posts: this.#posts.slice(before).filter((p) => p.state !== 'aborted').length };
  }

  engineError(code: import('./types.ts').EngineErrorCode): Error {
    return new this.#types.EngineError(code);
  }
}

export const nodeError = (code: string): object => expect.objectContaining({ name: 'NodeError', code });
export const cancelled = (): object => expect.objectContaining({ name: 'EngineError', code: 'cancelled' });

/** The node takes the body and begins to answer. */
export async function begun(run: Run, status = 200): Promise<void> {
  run.post.accept(BODY.length);
  run.post.begin(status);
  await pass();
}
export async function finish(run: Run): Promise<void> {
  run.post.end();
  await pass();
}
