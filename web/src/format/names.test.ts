import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { displayName, planPaths, safeName } from './names.ts';
import { Random } from './vectors/random.kit.ts';

const PARTS = [
  ...[
    '..',
    '.',
    ' ',
    '\\',
    ':',
    '\0',
    '\n',
    '\x7f',
    '\u202e',
    '\u2066',
    '\u2028',
    '\u200b',
    '\u00e9',
    'e\u0301',
    'E',
    'e',
  ],
  ...[
    'con',
    'NUL',
    'COM1',
    'lpt\u00b9',
    'aux.h',
    '~1',
    'ABCDEF~1',
    '\ud800',
    '\\u{41}',
    '\u00df',
    'ss',
    '\u212a',
    'k',
    'a',
    'A',
  ],
  ...['?', 'x'.repeat(250), '\u00e9'.repeat(126), '.txt', `.${'y'.repeat(20)}`, '(2)', ' (2)', '/', '😀', '\u0130'],
] as [string, ...string[]];

function hostile(random: Random): string {
  return Array.from({ length: random.below(5) }, () => random.pick(PARTS)).join('');
}

describe('a name is shown', () => {
  test.each([
    ['as it is', 'report (final).pdf', 'report (final).pdf'],
    ['in any script', 'Überraschung 日本語 שלום', 'Überraschung 日本語 שלום'],
    ['on one line', 'a\nb', 'a\\u{0A}b'],
    ['without escape sequences', '\x1b[31mred', '\\u{1B}[31mred'],
    ['without turning', 'photo\u202egpj.exe', 'photo\\u{202E}gpj.exe'],
    ['without isolates', '\u2066a\u2069', '\\u{2066}a\\u{2069}'],
    ['without what is invisible', 'pay\u00adpal\u200b\ufeff', 'pay\\u{AD}pal\\u{200B}\\u{FEFF}'],
    ['without line separators', 'a\u2028b\u2029', 'a\\u{2028}b\\u{2029}'],
    ['without tags', 'a\u{e0061}', 'a\\u{E0061}'],
    ['without half characters', 'a\ud800b', 'a\\u{D800}b'],
    ['with joiners', '👩\u200d🚀 می\u200cخواهم', '👩\u200d🚀 می\u200cخواهم'],
    ['with backslashes', 'C:\\users', 'C:\\users'],
    ['apart from what reads like it', '\\u{202E}', '\\u{5C}u{202E}'],
  ])('%s', (_, name, shown) => {
    expect(displayName(name)).toBe(shown);
  });

  test('so that it could be read back', () => {
    const random = new Random(15);
    for (let i = 0; i < 3000; i++) {
      const name = hostile(random);
      const shown = displayName(name);
      expect(shown).not.toMatch(/(?![\u200c\u200d])[\p{C}\p{Zl}\p{Zp}]/u);
      expect(shown.replace(/\\u\{([0-9A-F]+)\}/g, (_, hex) => String.fromCodePoint(Number.parseInt(hex, 16)))).toBe(
        name,
      );
    }
  });
});

describe('a name is saved', () => {
  test.each([
    ['as it is', 'a b.txt', 'a b.txt'],
    ['in this folder', '..', '__'],
    ['in this folder (.)', '.', '_'],
    ['without separators', '../..\\x/y', '.._.._x_y'],
    ['with a name', '', '_'],
    ['outside drives and streams', 'C:file.txt:hidden', 'C_file.txt_hidden'],
    ['without wildcards', 'a<b>c"d|e?f*g', 'a_b_c_d_e_f_g'],
    ['without controls', 'a\r\nb\x1b\u0085', 'a__b__'],
    ['without turning', 'a\u202eb\u2066c\u200fd', 'a_b_c_d'],
    ['with joiners', '👩\u200d🚀', '👩\u200d🚀'],
    ['without dots and spaces at the end', 'a. . ', 'a____'],
    ['with dots at the beginning', '.profile', '.profile'],
    ['beside devices', 'CON', '_CON'],
    ['beside devices with extensions', 'Aux.tar.gz', '_Aux.tar.gz'],
    ['beside devices with spaces', 'prn .txt', '_prn .txt'],
    ['beside ports', 'COM\u00b2', '_COM\u00b2'],
    ['beside consoles', 'conin$', '_conin$'],
    ['as it is, when it only begins like a device', 'console', 'console'],
    ['as it is, with two digits', 'COM10', 'COM10'],
    ['beside short names', 'PROGRA~1.TXT', 'PROGRA_1.TXT'],
    ['as it is, with a tilde', 'a~1b', 'a~1b'],
    ['cut, with its extension', `${'n'.repeat(300)}.jpeg`, `${'n'.repeat(250)}.jpeg`],
    ['cut between characters', '\u00e9'.repeat(200), '\u00e9'.repeat(127)],
    ['cut, mended at the end', `${'n'.repeat(254)}.${'n'.repeat(300)}`, `${'n'.repeat(254)}_`],
  ])('%s', (_, name, saved) => {
    expect(safeName(name)).toBe(saved);
  });

  test('once and for all', () => {
    const random = new Random(16);
    for (let i = 0; i < 3000; i++) {
      const saved = safeName(hostile(random));
      checkSaved(saved);
      expect(safeName(saved)).toBe(saved);
    }
  });
});

function checkSaved(name: string): void {
  expect(name).not.toMatch(/^$|^\.\.?$|[. ]$|[\p{Cc}\p{Cs}\p{Bidi_Control}<>:"/\\|?*]/u);
  expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
  expect(name.split('.')[0]?.trim() ?? '').not.toMatch(/^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/i);
}

describe('a bundle is written', () => {
  const plan = (...paths: string[]): string[] => planPaths(paths.map((path) => ({ path, folder: false })));

  test.each([
    ['as it is', ['a', 'b/c', 'b/d'], ['a', 'b/c', 'b/d']],
    ['with names apart in case', ['Readme', 'README', 'readme'], ['Readme', 'README (2)', 'readme (3)']],
    ['with names apart in composition', ['\u00e9', 'e\u0301'], ['\u00e9', 'e\u0301 (2)']],
    ['with names apart in what is invisible', ['ab', 'a\u200db'], ['ab', 'a\u200db (2)']],
    ['with names apart that folding makes one', ['stra\u00dfe', 'STRASSE'], ['stra\u00dfe', 'STRASSE (2)']],
    ['with names apart that mending makes one', ['a?', 'a*', 'a_'], ['a_', 'a_ (2)', 'a_ (3)']],
    ['with numbers before extensions', ['a.txt', 'A.txt'], ['a.txt', 'A (2).txt']],
    ['with numbers behind names that begin with a dot', ['.profile', '.Profile'], ['.profile', '.Profile (2)']],
    [
      'with an extension of 16 bytes',
      ['a.123456789012345', 'A.123456789012345'],
      ['a.123456789012345', 'A (2).123456789012345'],
    ],
    [
      'with a longer one as part of the name',
      ['a.1234567890123456', 'A.1234567890123456'],
      ['a.1234567890123456', 'A.1234567890123456 (2)'],
    ],
    ['cut for the number', ['n'.repeat(255), 'N'.repeat(255)], ['n'.repeat(255), `${'N'.repeat(246)} (2)`]],
    ['with folders of one name apart where they lie', ['a/x', 'b/x', 'A/x'], ['a/x', 'b/x', 'A (2)/x']],
    ['around numbers that are taken', ['a', 'a (2)', 'A'], ['a', 'a (2)', 'A (3)']],
    ['with folders apart in case', ['D/a', 'd/a'], ['D/a', 'd (2)/a']],
    ['inside the target', ['../a', '..\\b'], ['__/a', '.._b']],
  ])('%s', (_, paths, written) => {
    expect(plan(...paths)).toEqual(written);
  });

  test('with folders listed before or after what is in them', () => {
    const entries = [
      { path: 'd/a', folder: false },
      { path: 'd', folder: true },
      { path: 'D', folder: true },
    ];
    expect(planPaths(entries)).toEqual(['d/a', 'd', 'D (2)']);
  });

  test('with no two entries in one place', () => {
    const random = new Random(17);
    for (let i = 0; i < 200; i++) {
      const names = new Set(Array.from({ length: 30 }, () => hostile(random).replaceAll('/', '') || 'x'));
      const written = plan(...names);
      for (const path of written) checkSaved(path);
      expect(new Set(written.map((path) => path.normalize('NFD').toLowerCase())).size).toBe(names.size);
    }
  });

  test('in a memory that grows with its folders, not with the length of their paths', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const deep = '/a'.repeat(127);
    const entries = Array.from({ length: 1000 }, (_, i) => ({ path: `${i}${deep}`, folder: true }));
    collect();
    const before = process.memoryUsage().heapUsed;
    let held = 0;
    const probe = {
      folder: true,
      get path() {
        collect(); // while the planner has all others
        held = process.memoryUsage().heapUsed - before;
        return 'probe';
      },
    };
    expect(planPaths([...entries, probe]).at(-2)).toBe(`999${deep}`);
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThan(300 * 128_000);
  });

  test('in a time that does not grow with the square of like names', () => {
    const many = Array.from({ length: 5000 }, (_, i) =>
      `a${'?*<>'.charAt(i % 4)}${'|"'.charAt(i % 2)}`.padEnd(20 + (i % 3), '?'),
    );
    const started = performance.now();
    const written = plan(...many);
    expect(new Set(written).size).toBe(many.length);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
