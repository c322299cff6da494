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
  text,
  tuple,
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
