import { describe, expect, test } from 'vitest';
import {
  array,
  b16,
  b32,
  bytes,
  decode,
  encode,
  integer,
  map,
  optional,
  refine,
  required,
  type Shape,
  text,
  tuple,
  yes,
} from './shape.ts';
import { fromHex, toHex } from './vectors/case.kit.ts';
import { failure } from './vectors/random.kit.ts';

const shape = map({ b: optional(2, text(1, 3)), a: required(1, integer(0, 9)) });

describe('a map', () => {
  test('is written in the order of its keys, without what is left out', () => {
    expect(toHex(encode(shape, { b: 'x', a: 5 }, 100))).toBe('a20105026178');
    expect(toHex(encode(shape, { a: 5 }, 100))).toBe('a10105');
    expect(decode(shape, fromHex('a20105026178'), 100)).toEqual({ a: 5, b: 'x' });
  });

  test('without a key that it must have is neither read nor written', async () => {
    expect(await failure(() => decode(shape, fromHex('a1026178'), 100))).toBe('encoding');
    expect(await failure(() => encode(shape, { b: 'x' } as never, 100))).toBe('encoding');
  });

  test('ignores keys from 64 on and no others', async () => {
    expect(decode(shape, fromHex('a20105184000'), 100)).toEqual({ a: 5 });
    for (const hex of ['a201050300', 'a20105183f00', 'a201052000', 'a200000105', 'a2010518401800', 'a201051840f6']) {
      expect(await failure(() => decode(shape, fromHex(hex), 100)), hex).toBe('encoding');
    }
  });
});

describe('what reading refuses, writing refuses too', () => {
  test.each([
    ['a number too small', integer(1, 9), 0, '00'],
    ['a number too large', integer(1, 9), 10, '0a'],
    ['bytes too few', bytes(2, 3), new Uint8Array(1), '4100'],
    ['bytes too many', bytes(2, 3), new Uint8Array(4), '4400000000'],
    ['an id of 15 bytes', b16<'x'>(), new Uint8Array(15), `4f${'00'.repeat(15)}`],
    ['a name of 33 bytes', b32, new Uint8Array(33), `5821${'00'.repeat(33)}`],
    ['a text too short', text(1, 3), '', '60'],
    ['a text too long in bytes', text(1, 3), 'éé', '64c3a9c3a9'],
    ['an array too short', array(integer(0, 9), 1, 2), [], '80'],
    ['an array too long', array(integer(0, 9), 1, 2), [1, 2, 3], '83010203'],
    ['a value that a condition refuses', refine(integer(0, 9), (n) => (n === 3 ? 'three' : undefined)), 3, '03'],
  ])('%s', async (_, shapeOf, value, hex) => {
    expect(await failure(() => decode(shapeOf as never, fromHex(hex), 100))).toBe('encoding');
    expect(await failure(() => encode(shapeOf as never, value as never, 100))).toBe('encoding');
  });

  test.each([0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])('the number %d', async (n) => {
    expect(await failure(() => encode(integer(0, Number.MAX_SAFE_INTEGER), n, 100))).toBe('encoding');
  });

  test('half a surrogate pair, which would change on the way', async () => {
    expect(await failure(() => encode(text(0, 9), 'a\ud800', 100))).toBe('encoding');
  });

  test('more bytes than allowed', async () => {
    expect(await failure(() => encode(text(0, 99), 'abc', 3))).toBe('encoding');
    expect(toHex(encode(text(0, 99), 'abc', 4))).toBe('63616263');
    expect(decode(text(0, 99), fromHex('63616263'), 4)).toBe('abc');
    expect(await failure(() => decode(text(0, 99), fromHex('63616263'), 3))).toBe('encoding');
  });
});

test('a tuple reads each item by its own shape', async () => {
  const pair = tuple(text(1, 9), integer(0, 9));
  expect(decode(pair, fromHex('82616105'), 9)).toEqual(['a', 5]);
  expect(toHex(encode(pair, ['a', 5], 9))).toBe('82616105');
  for (const hex of ['82056161', '816161', '8361610505', 'a0']) {
    expect(await failure(() => decode(pair, fromHex(hex), 9)), hex).toBe('encoding');
  }
});

/** An array of at most that many integers that counts how many were read. */
function counted(max: number): { read: () => number; shape: Shape<number[]> } {
  let count = 0;
  const item: Shape<number> = {
    read(from) {
      count++;
      return from.int();
    },
    write: (to, value) => to.int(value),
  };
  return { read: () => count, shape: array(item, 0, max) };
}

describe('an array', () => {
  const some = array(tuple(integer(0, 9), text(1, 2)), 1, 3);

  test('is read and written item by item, in order', () => {
    const value: [number, string][] = [
      [1, 'a'],
      [0, 'é'],
      [9, 'zz'],
    ];
    expect(decode(some, encode(some, value, 100), 100)).toEqual(value);
    expect(toHex(encode(some, value.slice(0, 1), 100))).toBe('8182016161');
  });

  test.each([
    ['no array', 'a0'],
    ['none', '80'],
    ['four', `84${'82016161'.repeat(4)}`],
    ['one of another kind', '8205820161'],
    ['one that is not there', '8282016161'],
    ['more said than could be there', '9a0010000082016161'],
    ['2^53 said', '9b0020000000000000'],
  ])('is refused with %s', async (_, hex) => {
    expect(await failure(() => decode(some, fromHex(hex), 100))).toBe('encoding');
  });

  test('of many is refused by its count, before its items are looked at', async () => {
    const { read, shape: counting } = counted(3);
    expect(await failure(() => decode(counting, fromHex('8400000000'), 100))).toBe('encoding');
    expect(read()).toBe(0);
    expect(decode(counting, fromHex('83000102'), 100)).toEqual([0, 1, 2]);
    expect(read()).toBe(3);
  });

  test('of the wrong kind stops at the first item that is wrong', async () => {
    const { read, shape: counting } = counted(9);
    expect(await failure(() => decode(counting, fromHex('84016100'.padEnd(10, '0')), 100))).toBe('encoding');
    expect(read()).toBe(2);
  });
});

describe('maps in maps', () => {
  const inner = map({ on: optional(1, yes), more: optional(2, shape) });
  const outer = map({ inner: required(1, inner), last: optional(70, integer(0, 9)) });

  test('ignore and refuse at every depth', async () => {
    const read = (hex: string) => decode(outer, fromHex(hex), 100);
    expect(read('a101a0')).toEqual({ inner: {} });
    expect(read('a101a202a10105184000')).toEqual({ inner: { more: { a: 5 } } });
    expect(read('a201a101f5184605')).toEqual({ inner: { on: true }, last: 5 }); // a named key above 64
    expect(read('a301a0184060184605')).toEqual({ inner: {}, last: 5 });
    for (const hex of ['a101a10300', 'a101a102a1010a', 'a101a101f4', 'a101a1182001', 'a101a102a0', 'a201a018460a']) {
      expect(await failure(() => read(hex)), hex).toBe('encoding');
    }
  });

  test('are written in the order of keys, whatever that of properties', () => {
    const value = { last: 1, inner: { more: { b: 'x', a: 1 }, on: true as const } };
    expect(toHex(encode(outer, value, 100))).toBe('a201a201f502a20101026178184601');
    expect(decode(outer, encode(outer, value, 100), 100)).toEqual(value);
  });

  test('tell undefined from nothing nowhere', () => {
    const value = { inner: { on: undefined, more: undefined } } as never;
    expect(toHex(encode(outer, value, 100))).toBe('a101a0');
  });
});

test('a condition is asked before anything is written', async () => {
  const refused = refine(text(0, 9), () => 'never');
  expect(await failure(() => encode(array(refused, 0, 1), ['x'], 9))).toBe('encoding');
  const asked: string[] = [];
  const noting = refine(text(0, 9), (value) => {
    asked.push(value);
    return undefined;
  });
  decode(noting, encode(noting, 'x', 9), 9);
  expect(asked).toEqual(['x', 'x']);
});

test.each([
  ['bytes', bytes(2, 3), [new Uint8Array(2), new Uint8Array(3)]],
  ['a text', text(2, 3), ['é', 'abc']],
  ['a number', integer(2, 3), [2, 3]],
  [
    'an array',
    array(integer(0, 9), 2, 3),
    [
      [0, 9],
      [1, 2, 3],
    ],
  ],
])('%s may be as small and as large as allowed', (_, shapeOf, values) => {
  for (const value of values)
    expect(decode(shapeOf as never, encode(shapeOf as never, value as never, 9), 9)).toEqual(value);
});
