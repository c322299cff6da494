import { describe, expect, test } from 'vitest';
import { FormatError } from '../errors.ts';
import { Fields, fromHex, openingCode, pattern, VectorFile, vectorFiles } from './case.kit.ts';

// The reader of vectors itself: what it lets pass, nobody checks.
describe('a case', () => {
  const fields = () => new Fields({ a: 'text', n: 5, on: true, list: ['x'], hex: '00ff' }, 'a case');

  test('with a field that nobody asked for fails', () => {
    const some = fields();
    for (const field of ['a', 'n', 'on', 'list']) some.raw(field);
    expect(() => some.done()).toThrow('hex');
    some.hex('hex');
    some.done();
  });

  test('without a field that is asked for fails', () => {
    expect(() => fields().text('b')).toThrow('has no field b');
    expect(fields().maybe('b', fields().text)).toBeUndefined();
  });

  test('with a field of another type fails', () => {
    expect(() => fields().text('n')).toThrow(TypeError);
    expect(() => fields().number('a')).toThrow(TypeError);
    expect(() => fields().boolean('n')).toThrow(TypeError);
    expect(() => fields().list('a')).toThrow(TypeError);
    expect(() => fields().objects('list')).toThrow(TypeError);
    expect(() => fields().hex('a')).toThrow(TypeError);
  });
});

test('patterns are as docs/vectors.md says', () => {
  expect(pattern(300)[299]).toBe((299 * 7 + 13 + 5) & 255);
  expect(Array.from(pattern(3))).toEqual([5, 12, 19]);
});

test('hexadecimal is lower case', () => {
  for (const hex of ['0', 'FF', '0x', ' 00']) expect(() => fromHex(hex)).toThrow(TypeError);
});

test('a file of vectors has cases, each with a name of its own', () => {
  for (const name of vectorFiles()) expect(new VectorFile(name).cases.length).toBeGreaterThan(0);
  expect(() => new VectorFile('ids.json').find('no such case')).toThrow('no case');
});

test('a case that opens is not refused by what is compared after', async () => {
  const [c] = new VectorFile('ids.json').cases;
  if (c === undefined) throw new TypeError('no case');
  const refuse = (): never => {
    throw new FormatError('id', 'refused');
  };
  expect(await openingCode(() => refuse, c)).toBe('no error');
  expect(await openingCode(refuse, c)).toBe('id');
});
