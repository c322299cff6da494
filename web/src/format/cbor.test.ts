import { decode as libraryDecode, encode as libraryEncode, rfc8949EncodeOptions } from 'cborg';
import { describe, expect, test } from 'vitest';
import type { Bytes } from './bytes.ts';
import { FIRST_FREE_KEY, Reader, Writer } from './cbor.ts';
import { decode, encode } from './shape.ts';
import { fromHex, toHex } from './vectors/case.kit.ts';
import { failure, flip, Random } from './vectors/random.kit.ts';
import { type Sample, sampleShape } from './vectors/sample.kit.ts';

/** Reads over one item, which checks it as much as reading it would. */
function skip(hex: string): void {
  const reader = new Reader(fromHex(hex.replaceAll(' ', '')), 1 << 20);
  reader.skip();
  reader.end();
}

describe('one item', () => {
  test.each([
    ['0', '00'],
    ['23', '17'],
    ['24', '1818'],
    ['2^53-1', '1b001fffffffffffff'],
    ['-1', '20'],
    ['1-2^53', '3b001ffffffffffffe'],
    ['no bytes', '40'],
    ['a text', '6161'],
    ['a byte order mark', '63efbbbf'],
    ['the last code point', '64f48fbfbf'],
    ['true', 'f5'],
    ['false', 'f4'],
    ['an array', '8301820200f5'],
    ['keys in order, negative ones last', 'a4 00 00 1818 01 20 02 3818 03'],
    ['16 levels', `${'81'.repeat(15)}80`],
    ['16 levels of maps', `${'a100'.repeat(15)}a0`],
  ])('may be %s', (_, hex) => {
    expect(() => skip(hex)).not.toThrow();
  });

  test.each([
    ['nothing', ''],
    ['a longer form of 23', '1817'],
    ['a longer form of 255', '1900ff'],
    ['a longer form of 65,535', '1a0000ffff'],
    ['a longer form of 2^32-1', '1b00000000ffffffff'],
    ['a longer form of a length', '580161'],
    ['a longer form of a count', '980101'],
    ['2^53', '1b0020000000000000'],
    ['-2^53', '3b001fffffffffffff'],
    ['2^64-1', '1bffffffffffffffff'],
    ['a head cut short', '1a000000'],
    ['a length beyond the end', '4201'],
    ['a length of 2^53-1', '5b001fffffffffffff'],
    ['a count beyond the end', '820101 01 01'.slice(0, 4)],
    ['a count of 2^53-1', '9b001fffffffffffff'],
    ['more pairs than bytes', 'a20101'],
    ['a half', 'f93800'],
    ['a float', 'fa3f800000'],
    ['a double', 'fb3ff0000000000000'],
    ['null', 'f6'],
    ['undefined', 'f7'],
    ['a simple value', 'e0'],
    ['a simple value in two bytes', 'f8ff'],
    ['true in two bytes', 'f815'],
    ['a tag', 'c101'],
    ['a tag in two bytes', 'd81801'],
    ['bytes of indefinite length', '5f4101ff'],
    ['a text of indefinite length', '7f6161ff'],
    ['an array of indefinite length', '9f01ff'],
    ['a map of indefinite length', 'bf0101ff'],
    ['a break', 'ff'],
    ['a reserved length', '1c'],
    ['bytes left over', '0000'],
    ['a text that is not UTF-8', '61ff'],
    ['a surrogate', '63eda080'],
    ['an overlong form', '62c080'],
    ['a code point beyond the last', '64f4908080'],
    ['a key twice', 'a201000100'],
    ['a negative key twice', 'a220002000'],
    ['key 0 twice', 'a200000000'],
    ['keys out of order', 'a202000100'],
    ['key 0 after another', 'a201000000'],
    ['a negative key first', 'a220000100'],
    ['negative keys out of order', 'a221002000'],
    ['a text as a key', 'a1616100'],
    ['true as a key', 'a1f500'],
    ['17 levels', `${'81'.repeat(16)}80`],
    ['17 levels of maps', `${'a100'.repeat(16)}a0`],
    ['100,000 levels', '81'.repeat(100_000)],
  ])('may not be %s', async (_, hex) => {
    expect(await failure(() => skip(hex))).toBe('encoding');
  });

  test('may not be an array of more than 2^20 items, nor a map', async () => {
    expect(await failure(() => skip(`9a00100000${'00'.repeat(2 ** 20)}`))).toBe('encoding');
    const pairs = new Writer();
    pairs.map(2 ** 20 + 1);
    for (let key = 0; key <= 2 ** 20; key++) {
      pairs.int(key);
      pairs.int(0);
    }
    const all = pairs.result();
    const reading = (data: Bytes) => failure(() => new Reader(data, 1 << 23).skip());
    expect(await reading(all)).toBe('encoding');
    all[4] = 0; // one pair less; the last key is then left over
    expect(await reading(all)).toBeUndefined();
  });
});

test('a text that is not UTF-8 is refused with its cause', () => {
  const causeOf = (hex: string): unknown => {
    try {
      new Reader(fromHex(hex), 9).text();
    } catch (error) {
      return error instanceof Error ? error.cause : error;
    }
    return 'no error';
  };
  expect(String(causeOf('61ff'))).toContain('TypeError');
  expect(causeOf('61')).toBeUndefined();
});

test('a byte order mark is a character like any other', () => {
  expect(new Reader(fromHex('63efbbbf'), 9).text()).toEqual({ text: '\ufeff', size: 3 });
});

test('an encoding larger than allowed is refused before it is looked at', async () => {
  expect(await failure(() => new Reader(new Uint8Array(11), 10))).toBe('encoding');
});

test('an encoding exactly as large as allowed is read', () => {
  const reader = new Reader(fromHex('1a00010000'), 5);
  expect(reader.int()).toBe(65_536);
  expect(() => reader.end()).not.toThrow();
});

test('keys from 64 on are free (docs/format.md §7)', () => {
  expect(FIRST_FREE_KEY).toBe(64);
});

describe('reading what a shape asks for', () => {
  const read = (hex: string): Reader => new Reader(fromHex(hex), 1 << 20);

  test('numbers of every width lie anywhere in a larger buffer', () => {
    const numbers = [5, -5, 200, -200, 60_000, -60_000, 4_000_000_000, -4_000_000_000, 2 ** 52, -(2 ** 52)];
    const writer = new Writer();
    for (const n of numbers) writer.int(n);
    const whole = writer.result();
    for (const shift of [0, 1, 2, 3, 7, 8]) {
      const buffer = new Uint8Array(whole.length + shift + 9).fill(0xff);
      buffer.set(whole, shift);
      const reader = new Reader(buffer.subarray(shift, shift + whole.length), whole.length);
      expect(numbers.map(() => reader.int())).toEqual(numbers);
      reader.end();
    }
  });

  test('byte strings are copies: who reuses the buffer changes nothing', () => {
    const data = fromHex('43010203');
    const bytes = new Reader(data, 9).bytes();
    data.fill(9);
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3));
  });

  test('an array has as many items as its bounds say, none more and none less', async () => {
    const ints = (hex: string, min: number, max: number): number[] => {
      const reader = read(hex);
      return reader.items(min, max, () => reader.int());
    };
    expect([ints('80', 0, 0), ints('820102', 2, 2), ints('83010203', 1, 3)]).toEqual([[], [1, 2], [1, 2, 3]]);
    for (const [hex, min, max] of [
      ['80', 1, 9],
      ['820102', 3, 9],
      ['820102', 0, 1],
      ['8101', 0, 0],
    ] as const) {
      expect(await failure(() => ints(hex, min, max))).toBe('encoding');
    }
  });

  test('true alone is true', async () => {
    expect(read('f5').yes()).toBe(true);
    for (const hex of ['f4', 'f6', '01', '20', '']) expect(await failure(() => read(hex).yes())).toBe('encoding');
  });

  test.each<[string, (reader: Reader) => unknown, string]>([
    ['a number', (r) => r.int(), '40 60 80 a0 f5 c1'],
    ['a byte string', (r) => r.bytes(), '00 20 60 80 a0 f5 c1'],
    ['a text', (r) => r.text(), '00 20 40 80 a0 f5 c1'],
    ['true', (r) => r.yes(), '00 20 40 60 80 a0 c1'],
    ['an array', (r) => r.items(0, 9, () => 0), '00 20 40 60 a0 f5 c1'],
    ['a map', (r) => r.entries(() => {}), '00 20 40 60 80 f5 c1'],
  ])('%s is nothing of another kind', async (_, take, others) => {
    for (const hex of others.split(' ')) expect(await failure(() => take(read(hex))), hex).toBe('encoding');
  });

  test('what was left does not count as depth: siblings may be many', () => {
    const siblings = (item: string): string => `98${(40).toString(16)}${item.repeat(40)}`;
    for (const item of ['8101', '80', 'a10102', 'a0', '81818100', 'a101a10100']) {
      expect(() => skip(siblings(item))).not.toThrow();
      const reader = read(siblings(item));
      reader.items(40, 40, () => reader.skip());
      reader.end();
    }
    const maps = read(`9818${'a101820102'.repeat(24)}`);
    maps.items(24, 24, () => maps.entries(() => maps.items(2, 2, () => maps.int())));
    maps.end();
  });

  test('depth counts through arrays and maps that a shape reads', async () => {
    const nested = (levels: number): (() => void) => {
      const reader = read(`${'81'.repeat(levels - 1)}80`);
      const down = (): void => void reader.items(0, 1, down);
      return down;
    };
    expect(await failure(nested(16))).toBeUndefined();
    expect(await failure(nested(17))).toBe('encoding');
    const maps = (levels: number): (() => void) => {
      const reader = read(`${'a100'.repeat(levels - 1)}a0`);
      const down = (): void => reader.entries(down);
      return down;
    };
    expect(await failure(maps(16))).toBeUndefined();
    expect(await failure(maps(17))).toBe('encoding');
  });

  test('a count is refused before anything is made of it', async () => {
    const made: number[] = [];
    const reader = read('9a000fffff00');
    expect(await failure(() => reader.items(0, 1 << 20, () => made.push(reader.int())))).toBe('encoding');
    expect(made).toEqual([]);
    const pairs = read('a301010202'); // three keys, and room for two with their values
    expect(await failure(() => pairs.entries((key) => made.push(key, pairs.int())))).toBe('encoding');
    expect(made).toEqual([]);
  });

  test('an array of 2^20 items is read, also where it is ignored', () => {
    expect(() => new Reader(fromHex(`9a00100000${'00'.repeat(2 ** 20)}`), 1 << 21).skip()).not.toThrow();
  });
});

describe('writing at any fill of the buffer', () => {
  // It begins with 256 bytes: what is written next crosses that border at some fill, whatever it is.
  test.each<[string, (writer: Writer) => void, unknown]>([
    ['a number of one byte', (w) => w.int(7), 7],
    ['a number of nine bytes', (w) => w.int(2 ** 53 - 1), 2 ** 53 - 1],
    ['a negative number', (w) => w.int(-(2 ** 40)), -(2 ** 40)],
    ['true', (w) => w.yes(), true],
    ['a text', (w) => w.text('häß'), 'häß'],
    ['no bytes', (w) => w.bytes(new Uint8Array(0)), new Uint8Array(0)],
    ['an empty array', (w) => w.array(0), []],
  ])('%s', (_, write, value) => {
    for (let fill = 230; fill < 270; fill++) {
      const writer = new Writer();
      const before = new Uint8Array(fill).map((_, i) => i);
      writer.array(3);
      writer.bytes(before);
      write(writer);
      write(writer);
      expect(libraryDecode(writer.result())).toEqual([before, value, value]);
    }
  });

  test('what was given out does not change with what is written after it', () => {
    const writer = new Writer();
    writer.int(1);
    const first = writer.result();
    writer.int(2);
    expect([toHex(first), toHex(writer.result())]).toEqual(['01', '0102']);
  });

  test('no integer beyond 2^53-1, and none that is not whole', () => {
    for (const value of [2 ** 53, -(2 ** 53), 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new Writer().int(value)).toThrow('encoding');
    }
  });
});

describe('writing', () => {
  test('gives the shortest form of every number', () => {
    for (const n of [0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      for (const value of [n, -1 - n]) {
        const writer = new Writer();
        if (!Number.isSafeInteger(value)) {
          expect(() => writer.int(value)).toThrow('encoding');
          continue;
        }
        writer.int(value);
        expect(toHex(writer.result())).toBe(toHex(libraryEncode(value)));
        expect(new Reader(writer.result(), 9).int()).toBe(value);
      }
    }
  });

  test('grows as far as it must', () => {
    const writer = new Writer();
    const part = new Uint8Array(70_000).fill(7);
    writer.array(2);
    writer.bytes(part);
    writer.text('é'.repeat(40_000));
    expect(libraryDecode(writer.result())).toEqual([part, 'é'.repeat(40_000)]);
  });
});

function sample(random: Random, depth: number): Sample {
  const value: Sample = { n: random.below(2 ** 53), raw: random.bytes(random.below(40)), id: random.bytes(16) };
  return {
    ...value,
    ...(random.below(2) ? { text: random.pick(['x', 'häß', '😀', '\u0000']) } : {}),
    ...(random.below(2) ? { sub: random.below(2) ? { i: -random.below(1000), on: true } : { i: 0 } } : {}),
    ...(random.below(2) ? { pairs: [[random.bytes(3), random.below(300)] as [Bytes, number]] } : {}),
    ...(depth > 0 && random.below(2) ? { nested: sample(random, depth - 1) } : {}),
  };
}

describe('any value', () => {
  test('comes back, in the encoding that another library gives', () => {
    const random = new Random(6);
    for (let i = 0; i < 200; i++) {
      const value = sample(random, 5);
      const encoded = encode(sampleShape, value, 1 << 20);
      expect(decode(sampleShape, encoded, 1 << 20)).toEqual(value);
      const tree: unknown = libraryDecode(encoded, { useMaps: true, strict: true });
      expect(toHex(libraryEncode(tree, rfc8949EncodeOptions))).toBe(toHex(encoded));
    }
  });

  test('that was damaged is refused, or is another value in its one encoding', async () => {
    const random = new Random(7);
    for (let i = 0; i < 4000; i++) {
      const encoded = encode(sampleShape, sample(random, 2), 1 << 20);
      const damaged = flip(encoded, random.below(encoded.length), random.below(8));
      const code = await failure(() => {
        const again = encode(sampleShape, decode(sampleShape, damaged, 1 << 20), 1 << 20);
        // A bit can turn a key into one from 64 on, which is ignored, and not written again.
        if (again.length === damaged.length) expect(toHex(again)).toBe(toHex(damaged));
      });
      expect([undefined, 'encoding']).toContain(code);
    }
  });

  test('of random bytes is refused and never breaks the reader', async () => {
    const random = new Random(8);
    for (let i = 0; i < 5000; i++) {
      const bytes = random.bytes(random.below(60));
      const code = await failure(() => {
        const reader = new Reader(bytes, 100);
        reader.skip();
        reader.end();
      });
      expect([undefined, 'encoding']).toContain(code);
    }
  });
});
