import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadBlake3 } from '../format/blob.ts';
import type { Bytes } from '../format/bytes.ts';
import { pattern } from '../format/vectors/case.kit.ts';
import { Reader } from './fetching.ts';
import { World } from './world.kit.ts';

// One blob from two nodes, in time that the test makes pass.

let world: World;
let bytes: Bytes;
beforeAll(async () => {
  world = await World.make([['note.txt', pattern(300_000)]]);
  bytes = world.blobs.get(world.page.blobs[0]?.name ?? '') as Bytes;
});
beforeEach(() =>
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }),
);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** An answer that gives so many bytes every so often. */
function slowly(every: number, step: number, signal: AbortSignal | null | undefined): Response {
  let at = 0;
  let timer: ReturnType<typeof setInterval>;
  const body = new ReadableStream<Bytes>({
    start(controller) {
      signal?.addEventListener('abort', () => controller.error(signal.reason));
      timer = setInterval(() => {
        if (signal?.aborted) clearInterval(timer);
        else if (at >= bytes.length) {
          clearInterval(timer);
          controller.close();
        } else {
          controller.enqueue(bytes.slice(at, at + step));
          at += step;
        }
      }, every);
    },
  });
  return new Response(body);
}

interface Run {
  readonly seconds: number;
  readonly failovers: number;
  readonly asked: string[];
  readonly result: Bytes | Error;
}

/** Reads the blob while each node answers in its own way. */
async function read(de: [number, number], nz: [number, number], reader?: Reader): Promise<Run> {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (url: string, init?: RequestInit) => {
    const node = url.includes('de.') ? 'DE' : 'NZ';
    asked.push(node);
    return slowly(...(node === 'DE' ? de : nz), init?.signal);
  });
  let failovers = 0;
  const by = reader ?? new Reader(await loadBlake3(), new AbortController().signal, () => failovers++);
  let result: Bytes | Error | undefined;
  by.read(world.page, { blob: 0, from: 0, to: bytes.length }).then(
    (arrived) => (result = arrived.bytes),
    (e: Error) => (result = e),
  );
  let seconds = 0;
  for (; result === undefined; seconds += 0.25) {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(250);
  }
  return { seconds, failovers, asked, result };
}

const FAST: [number, number] = [100, 50_000];
const DRIP: [number, number] = [3750, 1];

describe('a node that drips', () => {
  it('is left within seconds while there is another copy', async () => {
    const run = await read(DRIP, FAST);
    expect(run.result).toEqual(bytes);
    expect(run).toMatchObject({ failovers: 1, asked: ['DE', 'NZ'] });
    expect(run.seconds).toBeLessThan(10);
  });

  it('does not hold a download for ever when all do', async () => {
    const run = await read(DRIP, DRIP);
    expect(run.result).toMatchObject({ code: 'nodes-away' });
    expect(run.seconds).toBeLessThan(120);
  });

  it('that is slow, but the only one, is waited for', async () => {
    const run = await read([250, 4096], DRIP);
    expect(run.result).toEqual(bytes);
  });
});
