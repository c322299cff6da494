import { Tokenizer } from 'cborg';
import { type Bytes, utf8 } from './bytes.ts';
import { FormatError } from './errors.ts';

// Deterministic CBOR in the narrow subset of docs/format.md §7. Values are read from and written to the shape that is
// wanted (shape.ts), with nothing in between: a listing of 200,000 files is encoded in a second, where building it up
// for the library's encoder takes ten and a gigabyte.

/** The lowest map key that a decoder ignores when it does not know it. */
export const FIRST_FREE_KEY = 64;

const MAX_DEPTH = 16;
const MAX_ITEMS = 1 << 20; // in an array, known or ignored
const MAX_PAIRS = 1 << 12; // in a map

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function refuse(message: string, cause?: unknown): never {
  throw new FormatError('encoding', message, cause === undefined ? undefined : { cause });
}

interface Token {
  readonly kind: string;
  readonly value: unknown;
  readonly raw: unknown;
}

/** Takes an encoding apart, item by item. Every method refuses an item of another kind (`encoding`). */
export class Reader {
  readonly #tokens: Tokenizer;
  readonly #size: number;
  #depth = 0;

  /** `max` is the greatest size of the encoding; more is refused before a byte is looked at. */
  constructor(data: Bytes, max: number) {
    if (data.length > max) refuse(`${data.length} bytes, at most ${max} allowed`);
    this.#size = data.length;
    this.#tokens = new Tokenizer(data, {
      strict: true, // no integer and no length in a longer form than needed
      allowIndefinite: false,
      allowUndefined: false,
      allowBigInt: false,
      retainStringBytes: true, // the library's own decoder replaces what is no UTF-8, and drops byte order marks
    });
  }

  #next(): Token {
    if (this.#tokens.done()) refuse('it ends too early');
    try {
      const token = this.#tokens.next();
      return { kind: token.type.name, value: token.value, raw: token.byteValue };
    } catch (cause) {
      refuse('not well-formed, or not in the shortest form', cause);
    }
  }

  #expect(kind: string): Token {
    const token = this.#next();
    if (token.kind !== kind) refuse(`${token.kind} where ${kind} is wanted`);
    return token;
  }

  int(): number {
    return integer(this.#next());
  }

  bytes(): Bytes {
    return this.#expect('bytes').value as Bytes;
  }

  /** A text, with the number of its bytes. */
  text(): { text: string; size: number } {
    const raw = rawText(this.#expect('string'));
    return { text: utf8Text(raw), size: raw.length };
  }

  /** The value true; false is never written. */
  yes(): true {
    this.#expect('true');
    return true;
  }

  items<T>(min: number, max: number, item: () => T): T[] {
    const count = this.#enter(this.#expect('array'), max);
    if (count < min) refuse(`${count} items, at least ${min} wanted`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item());
    this.#depth--;
    return items;
  }

  /** Calls `entry` for each key, in their order; it reads the value. */
  entries(entry: (key: number) => void): void {
    this.#pairs(this.#expect('map'), entry);
  }

  /** Reads over one item, which must be of the subset all the same, and in its one encoding. */
  skip(): void {
    const token = this.#next();
    switch (token.kind) {
      case 'uint':
      case 'negint':
        integer(token);
        return;
      case 'string':
        utf8Text(rawText(token));
        return;
      case 'bytes':
      case 'true':
      case 'false':
        return;
      case 'array': {
        const count = this.#enter(token, MAX_ITEMS);
        for (let i = 0; i < count; i++) this.skip();
        this.#depth--;
        return;
      }
      case 'map':
        this.#pairs(token, () => this.skip());
        return;
      default:
        refuse(`${token.kind}, which is never written`);
    }
  }

  end(): void {
    if (!this.#tokens.done()) refuse('bytes left over');
  }

  #enter(token: Token, max: number): number {
    const count = token.value as number;
    // Each item takes a byte at least: nobody makes room for items that cannot be there.
    if (count > max || count > this.#size - this.#tokens.pos()) refuse(`${count} items, more than can be`);
    if (++this.#depth > MAX_DEPTH) refuse(`nested deeper than ${MAX_DEPTH}`);
    return count;
  }

  #pairs(token: Token, entry: (key: number) => void): void {
    const count = this.#enter(token, MAX_PAIRS);
    let last: number | undefined;
    for (let i = 0; i < count; i++) {
      const key = this.int();
      if (last !== undefined && !follows(last, key)) refuse('map keys out of order, or one key twice');
      last = key;
      entry(key);
    }
    this.#depth--;
  }
}

function integer(token: Token): number {
  if (token.kind !== 'uint' && token.kind !== 'negint') refuse(`${token.kind} where an integer is wanted`);
  const value = token.value;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) refuse('an integer beyond 2^53-1');
  return value;
}

/** The bytes of a text; the library keeps none for the empty one. */
function rawText(token: Token): Bytes {
  return (token.raw ?? new Uint8Array(0)) as Bytes;
}

function utf8Text(raw: Bytes): string {
  try {
    return decoder.decode(raw);
  } catch (cause) {
    refuse('a text that is not UTF-8', cause);
  }
}

/** Whether key b comes after key a: by their encoded bytes, 0, 1, 2 … and then -1, -2, -3 … */
function follows(a: number, b: number): boolean {
  if (a < 0) return b < a;
  return b < 0 || b > a;
}

// Major types.
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TRUE = 0xf5;

/** Puts an encoding together, item by item, each in its one form. */
export class Writer {
  #buffer = new Uint8Array(256);
  #view = new DataView(this.#buffer.buffer);
  #size = 0;

  int(value: number): void {
    if (!Number.isSafeInteger(value)) refuse('an integer beyond 2^53-1');
    if (value >= 0) this.#head(0, value);
    else this.#head(1, -1 - value);
  }

  bytes(value: Bytes): void {
    this.#head(BYTES, value.length);
    this.#append(value);
  }

  text(value: string): void {
    const raw = utf8(value);
    this.#head(TEXT, raw.length);
    this.#append(raw);
  }

  yes(): void {
    this.#room(1);
    this.#buffer[this.#size++] = TRUE;
  }

  /** Begins an array: so many items follow. */
  array(count: number): void {
    this.#head(ARRAY, count);
  }

  /** Begins a map: so many keys, each with its value, follow in the order of keys. */
  map(count: number): void {
    this.#head(MAP, count);
  }

  /** What was written. */
  result(): Bytes {
    return this.#buffer.slice(0, this.#size);
  }

  #room(size: number): void {
    if (this.#size + size <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#buffer.length, this.#size + size));
    larger.set(this.#buffer);
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }

  #append(raw: Bytes): void {
    this.#room(raw.length);
    this.#buffer.set(raw, this.#size);
    this.#size += raw.length;
  }

  #head(major: number, argument: number): void {
    this.#room(9);
    const first = major << 5;
    if (argument < 24) {
      this.#view.setUint8(this.#size++, first | argument);
    } else if (argument < 2 ** 8) {
      this.#view.setUint16(this.#size, ((first | 24) << 8) | argument);
      this.#size += 2;
    } else if (argument < 2 ** 16) {
      this.#view.setUint8(this.#size, first | 25);
      this.#view.setUint16(this.#size + 1, argument);
      this.#size += 3;
    } else if (argument < 2 ** 32) {
      this.#view.setUint8(this.#size, first | 26);
      this.#view.setUint32(this.#size + 1, argument);
      this.#size += 5;
    } else {
      this.#view.setUint8(this.#size, first | 27);
      this.#view.setBigUint64(this.#size + 1, BigInt(argument));
      this.#size += 9;
    }
  }
}
