import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Address, keyFromPaste } from './address.ts';

describe('a link’s key', () => {
  let location: { pathname: string; hash: string };
  /** A page that is loaded anew. */
  async function load(hash: string): Promise<Address> {
    vi.resetModules();
    location = { pathname: '/s/handle', hash };
    vi.stubGlobal('location', location);
    return (await import('./address.ts')).readAddress();
  }
  beforeEach(() => {
    const storage = new Map<string, string>();
    vi.stubGlobal('sessionStorage', {
      getItem: (k: string) => storage.get(k) ?? null,
      setItem: (k: string, v: string) => storage.set(k, v),
    });
    vi.stubGlobal('history', { replaceState: () => (location.hash = '') });
  });
  afterEach(() => vi.unstubAllGlobals());

  it('leaves the address and is known after a reload', async () => {
    expect(await load('#key')).toEqual({ handle: 'handle', fragment: 'key' });
    expect(location.hash).toBe('');
    expect(await load('')).toEqual({ handle: 'handle', fragment: 'key' });
  });

  it('is known to this page where storage is forbidden', async () => {
    const forbidden = (): never => {
      throw new DOMException('forbidden', 'SecurityError');
    };
    vi.stubGlobal('sessionStorage', { getItem: forbidden, setItem: forbidden });
    expect(await load('#key')).toEqual({ handle: 'handle', fragment: 'key' });
    const { keepKey, readAddress } = await import('./address.ts');
    expect(readAddress().fragment).toBe('key');
    keepKey('handle', 'pasted');
    expect(readAddress().fragment).toBe('pasted');
    expect((await load('')).fragment).toBe('');
  });

  it('is known to this page where storage is not even there', async () => {
    vi.stubGlobal('sessionStorage', undefined);
    expect((await load('#key')).fragment).toBe('key');
    expect((await load('')).fragment).toBe('');
  });
});

describe('a pasted key', () => {
  it.each([
    ['abc', 'abc'],
    [' abc\n', 'abc'],
    ['#abc', 'abc'],
    ['https://host/s/handle#abc', 'abc'],
  ])('%j is %j', (pasted, key) => expect(keyFromPaste(pasted)).toBe(key));
});
