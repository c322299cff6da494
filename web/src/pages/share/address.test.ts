import { describe, expect, it } from 'vitest';
import { keyFromPaste } from './address.ts';

describe('a pasted key', () => {
  it.each([
    ['abc', 'abc'],
    [' abc\n', 'abc'],
    ['#abc', 'abc'],
    ['https://host/s/handle#abc', 'abc'],
  ])('%j is %j', (pasted, key) => expect(keyFromPaste(pasted)).toBe(key));
});
