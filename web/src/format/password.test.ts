import { describe, expect, test } from 'vitest';
import { prepare } from './password.ts';
import { failure, Random } from './vectors/random.kit.ts';

// What both programs must agree on stands in password.json; these are the borders that only this one has.
describe('a password', () => {
  test.each([
    ['with half a surrogate pair', 'a\ud800'],
    ['with a character that Go does not know yet', '\u{1fae9}'],
    ['of more than 4,096 bytes that would shorten', '\u3000'.repeat(1366)],
    ['with a joiner between letters that do not join', '\u0627\u200c\u0628'],
    ['with a joiner before a mark at the end', '\u0628\u200c\u0651'],
    ['with two joiners after a virama', '\u0915\u094d\u200d\u200d'],
  ])('is refused %s', async (_, password) => {
    expect(await failure(() => prepare(password))).toBe('password');
  });

  test.each([
    ['with a joiner around marks', '\u0628\u0651\u200c\u0651\u0628'],
    ['with a joiner after Kawi virama', '\u{11f12}\u{11f42}\u200d'],
    ['of 1,365 wide spaces less a third', '\u3000'.repeat(1024)],
  ])('is taken %s', (_, password) => {
    expect(() => prepare(password)).not.toThrow();
  });

  test('is not quoted by any error', () => {
    const secret = 'correct horse\u0007';
    expect(() => prepare(secret)).toThrow(/^(?!.*horse)/);
  });

  test('once prepared is prepared', async () => {
    const random = new Random(18);
    let taken = 0;
    for (let i = 0; i < 6000; i++) {
      const text = String.fromCodePoint(...Array.from({ length: 1 + random.below(4) }, () => random.below(0x3400)));
      let prepared: string | undefined;
      const code = await failure(() => {
        prepared = prepare(text);
      });
      if (prepared === undefined) expect(code).toBe('password');
      else {
        expect(prepare(prepared)).toBe(prepared);
        taken++;
      }
    }
    expect(taken).toBeGreaterThan(1000);
  });
});
