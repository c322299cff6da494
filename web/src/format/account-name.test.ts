import { describe, expect, test } from 'vitest';
import { MAX_NAME, prepareName } from './account-name.ts';
import { offerName } from './phrase.ts';
import { failure, Random } from './vectors/random.kit.ts';

// What both programs must agree on stands in accountname.json; these are the borders that only this one has.
describe('a name', () => {
  test.each([
    ['half a surrogate pair', 'a\ud800'],
    ['a capital that newer engines know, of a letter that all know', '\ua7cb'],
    ['a letter of Unicode 16', '\u{10d50}'],
    ['more than 1,024 bytes that would shorten', `${'e\u0301'.repeat(341)}ab`],
  ])('may not hold %s', async (_, name) => {
    expect(await failure(() => prepareName(name))).toBe('account-name');
  });

  test('is not quoted by any error', () => {
    for (const typed of ['hunter2\u0007', 'hunter2'.repeat(20)])
      expect(() => prepareName(typed)).toThrow(/^(?!.*hunter)/);
  });

  test('is the same however it is typed, and once prepared is prepared', async () => {
    const random = new Random(41);
    const pool = [...'aAbZ09.-é\u0301üΣςσДдＡ１ｱﾞ李אב '] as [string, ...string[]];
    let taken = 0;
    for (let i = 0; i < 4000; i++) {
      const typed = Array.from({ length: 1 + random.below(8) }, () => random.pick(pool)).join('');
      let name: string | undefined;
      const code = await failure(() => {
        name = prepareName(typed);
      });
      if (name === undefined) {
        expect(code).toBe('account-name');
        continue;
      }
      taken++;
      const others = [name, typed.toUpperCase(), typed.toLowerCase(), typed.normalize('NFD'), typed.normalize('NFC')];
      for (const same of others) expect(prepareName(same), JSON.stringify(typed)).toBe(name);
      expect([...name].length).toBeLessThanOrEqual(MAX_NAME);
    }
    expect(taken).toBeGreaterThan(1000);
  });

  test('that is offered is four words, and is a name', async () => {
    const offered = await Promise.all(Array.from({ length: 30 }, offerName));
    expect(new Set(offered).size).toBe(30);
    for (const name of offered) {
      expect(name).toMatch(/^[a-z]+( [a-z]+){3}$/);
      expect(prepareName(name)).toBe(name);
    }
  });
});
