import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { service } from './service.ts';

// Which service worker a page takes, with a browser that the test plays.

const BUILD = 'BBBBBBBBBBBBBBBB';
const NOW = `${BUILD}.FFFFFFFFFFFFFFFF`;

class Worker extends EventTarget {
  state = 'installing';
  readonly heard: unknown[] = [];
  readonly postMessage = (message: unknown): void => void this.heard.push(message);
  become(state: string): void {
    this.state = state;
    this.dispatchEvent(new Event('statechange'));
  }
}
interface Registration {
  scope: string;
  url: string;
  active: Worker | null;
  installing: Worker | null;
  waiting: null;
}
let registrations: Registration[];
let version: () => Promise<Response>;
let registered: [string, unknown][];

function known(scope: string, state = 'activated'): Worker {
  const worker = new Worker();
  worker.state = state;
  registrations.push({ scope: `http://host.test${scope}`, url: '', active: worker, installing: null, waiting: null });
  return worker;
}

beforeEach(() => {
  registrations = [];
  registered = [];
  version = async () => new Response(NOW);
  vi.stubGlobal('location', new URL('http://host.test/s/x'));
  vi.stubGlobal('document', { querySelector: () => ({ content: BUILD }) });
  vi.stubGlobal('fetch', () => version());
  vi.stubGlobal('navigator', {
    serviceWorker: {
      getRegistrations: async () => registrations,
      async register(url: string, options: { scope: string }) {
        registered.push([url, options]);
        const scope = `http://host.test${options.scope}`;
        const found = registrations.find((r) => r.scope === scope);
        if (found) return found;
        const worker = new Worker();
        const made = { scope, url, active: null, installing: worker, waiting: null };
        registrations.push(made);
        setTimeout(() => worker.become('activated'));
        return made;
      },
    },
  });
});
afterEach(() => vi.unstubAllGlobals());
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the service worker', () => {
  it('has an address and a scope of its own for each version', async () => {
    const { worker, scope } = await service();
    expect(worker.state).toBe('activated');
    expect(scope).toBe(`/sw/${NOW}/`);
    expect(registered).toEqual([[`http://host.test/sw/${NOW}/sw.js`, { scope, updateViaCache: 'all' }]]);
    const later = `${BUILD}.GGGGGGGGGGGGGGGG`;
    version = async () => new Response(later);
    const next = await service();
    expect(next.scope).toBe(`/sw/${later}/`);
    expect(next.worker).not.toBe(worker);
    expect(worker.state).toBe('activated');
  });

  it('is taken from the browser where it is there, and never once it is redundant', async () => {
    const mine = known(`/sw/${NOW}/`);
    expect((await service()).worker).toBe(mine);
    mine.state = 'redundant';
    await expect(service()).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('of other versions is asked to retire, and what is not of this app is left alone', async () => {
    const [old, older, other] = [known('/sw/old/'), known('/sw/older/'), known('/elsewhere/')];
    const mine = known(`/sw/${NOW}/`);
    await service();
    await turn();
    expect([old, older].map((w) => w.heard)).toEqual([[{ kind: 'retire' }], [{ kind: 'retire' }]]);
    expect([mine, other].map((w) => w.heard)).toEqual([[], []]);
  });

  it.each<[string, () => Promise<Response>, string]>([
    ['of another build', async () => new Response(`CCCCCCCCCCCCCCCC.FFFFFFFFFFFFFFFF`), 'out-of-date'],
    ['whose version is none', async () => new Response('../../x'), 'unreachable'],
    ['of a server that errs', async () => new Response('', { status: 502 }), 'unreachable'],
    ['of a server that is away', async () => Promise.reject(new TypeError('offline')), 'unreachable'],
  ])('%s is not started', async (_, answer, code) => {
    version = answer;
    await expect(service()).rejects.toMatchObject({ code });
    expect(registered).toEqual([]);
  });

  it('is missing where the browser has none', async () => {
    vi.stubGlobal('navigator', {});
    await expect(service()).rejects.toMatchObject({ code: 'unsupported' });
  });
});
