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

  // Each character that wants company, with it, without it, and with the wrong one.
  test.each<[string, readonly string[], readonly string[]]>([
    [
      'middle dot',
      ['l\u00b7l', 'xl\u00b7l\u00b7lx'],
      ['\u00b7', 'l\u00b7', '\u00b7l', 'L\u00b7L', 'l\u00b7 l', 'a\u00b7l'],
    ],
    ['Greek numeral sign', ['\u0375\u03b1'], ['\u0375', '\u03b1\u0375', '\u0375a', '\u0375 \u03b1']],
    ['geresh', ['\u05d0\u05f3', '\u05d0\u05f4'], ['\u05f3', '\u05f4\u05d0', 'a\u05f3', ' \u05f4']],
    ['katakana dot', ['\u30fb\u30a2', '\u3042\u30fb', 'a\u30fb\u6f22'], ['\u30fb', 'a\u30fba']],
    ['Arabic digits', ['\u0660\u0669', '\u06f0\u06f9'], ['\u0660\u06f0', '\u06f9a\u0669']],
    ['zero width joiner', ['\u0915\u094d\u200d'], ['\u200d', 'a\u200d', '\u200d\u094d', '\u0915\u200d']],
    [
      'zero width non-joiner',
      ['\u0628\u200c\u0628', '\u094d\u200c'],
      ['\u200c', '\u0628\u200c', '\u200c\u0628', 'a\u200cb'],
    ],
  ])('may hold a %s only beside what it belongs to', async (_, good, bad) => {
    for (const text of good) expect(await failure(() => prepare(text)), JSON.stringify(text)).toBeUndefined();
    for (const text of bad) expect(await failure(() => prepare(text)), JSON.stringify(text)).toBe('password');
  });

  test.each<[string, string]>([
    ['a control', '\u0000'],
    ['a tab', '\t'],
    ['DEL', '\u007f'],
    ['a C1 control', '\u0085'],
    ['a soft hyphen', '\u00ad'],
    ['a zero width space', '\u200b'],
    ['a byte order mark', '\ufeff'],
    ['a right-to-left override', '\u202e'],
    ['a variation selector', '\ufe0f'],
    ['a tag', '\u{e0041}'],
    ['a line separator', '\u2028'],
    ['a paragraph separator', '\u2029'],
    ['private use', '\ue000'],
    ['what is not assigned', '\u0378'],
    ['no character', '\ufdd0'],
    ['the last code point', '\u{10ffff}'],
    ['a letter of old Hangul', '\u1100'],
    ['tatweel', '\u0640'],
    ['a vertical kana repeat mark', '\u3031'],
    ['half a surrogate pair', '\udc00'],
  ])('may not hold %s, alone or among letters', async (_, character) => {
    for (const text of [character, `a${character}`, `${character}a`, `a${character}b`]) {
      expect(await failure(() => prepare(text))).toBe('password');
    }
  });

  test('has 1 to 1,024 bytes once it is prepared', async () => {
    expect(await failure(() => prepare(''))).toBe('password');
    expect(prepare(' ')).toBe(' ');
    expect(prepare('a'.repeat(1024))).toHaveLength(1024);
    expect(await failure(() => prepare('a'.repeat(1025)))).toBe('password');
    expect(prepare('é'.repeat(512))).toHaveLength(512);
    expect(await failure(() => prepare(`${'é'.repeat(512)}a`))).toBe('password');
    expect(prepare('e\u0301'.repeat(512))).toBe('é'.repeat(512)); // 1,536 bytes as typed
  });

  test('has at most 30 marks on one letter, counted decomposed', async () => {
    expect(await failure(() => prepare(`a${'\u0323'.repeat(30)}`))).toBeUndefined();
    expect(await failure(() => prepare(`a${'\u0323'.repeat(31)}`))).toBe('password');
    expect(await failure(() => prepare(`é${'\u0323'.repeat(29)}`))).toBeUndefined();
    expect(await failure(() => prepare(`é${'\u0323'.repeat(30)}`))).toBe('password');
    expect(await failure(() => prepare(`a${'\u0323'.repeat(30)}b${'\u0323'.repeat(30)}`))).toBeUndefined();
  });

  test('is composed, with plain spaces, and else as it was typed', () => {
    expect(prepare('A\u00a0b\u3000C\u2009')).toBe('A b C ');
    expect(prepare('e\u0301\u212b')).toBe('é\u00c5');
    expect(prepare('Straße ﬁ ſ')).toBe('Straße ﬁ ſ');
    expect(prepare(' a  b ')).toBe(' a  b ');
  });
});
