import { type Bytes, utf8 } from './bytes.ts';
import { FormatError } from './errors.ts';

// Deterministic CBOR (RFC 8949 §4.2.1) in the narrow subset of docs/format.md §7. Values are read from and written to
// the shape that is wanted (shape.ts), with nothing in between. It is written out here because libraries for all of
// CBOR weigh ten times as much in every worker of the share page, and are lenient where the format is not.

/** The lowest map key that a decoder ignores when it does not know it. */
export const FIRST_FREE_KEY = 64;

const MAX_DEPTH = 16;
const MAX_ITEMS = 1 << 20; // in an array or a map, known or ignored

// Major types, and the two simple values.
const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const SIMPLE = 7;
const FALSE = 20;
const TRUE = 21;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function refuse(message: string, cause?: unknown): never {
  throw new FormatError('encoding', message, cause === undefined ? undefined : { cause });
}

/** Takes an encoding apart, item by item. Every method refuses an item of another kind (`encoding`). */
export class Reader {
  readonly #data: Bytes;
  readonly #view: DataView;
  #at = 0;
  #depth = 0;
  /** What the head read last says beside its major type: a number, a length, a count. */
  #argument = 0;
  /** Whether unknown keys are refused whatever their number. */
  readonly exact: boolean;

  /** `max` is the greatest size of the encoding; more is refused before a byte is looked at. */
  constructor(data: Bytes, max: number, exact = false) {
    this.exact = exact;
    if (data.length > max) refuse(`${data.length} bytes, at most ${max} allowed`);
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  int(): number {
    return this.#integer(this.#head());
  }

  bytes(): Bytes {
    this.#expect(BYTES, 'a byte string');
    return this.#take().slice();
  }

  /** A text, with the number of its bytes. */
  text(): { text: string; size: number } {
    this.#expect(TEXT, 'a text');
    const raw = this.#take();
    return { text: utf8Text(raw), size: raw.length };
  }

  /** The value true; false is never written. */
  yes(): true {
    this.#expect(SIMPLE, 'true');
    if (this.#argument !== TRUE) refuse('a value where true is wanted');
    return true;
  }

  items<T>(min: number, max: number, item: () => T): T[] {
    this.#expect(ARRAY, 'an array');
    const count = this.#enter(1, max);
    if (count < min) refuse(`${count} items, at least ${min} wanted`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item());
    this.#depth--;
    return items;
  }

  /** Calls `entry` for each key, in their order; it reads the value. */
  entries(entry: (key: number) => void): void {
    this.#expect(MAP, 'a map');
    this.#pairs(entry);
  }

  /** Reads over one item, which must be of the subset all the same, and in its one encoding. */
  skip(): void {
    const major = this.#head();
    switch (major) {
      case UINT:
      case NEGATIVE:
        this.#integer(major);
        return;
      case BYTES:
        this.#take();
        return;
      case TEXT:
        utf8Text(this.#take());
        return;
      case ARRAY: {
        const count = this.#enter(1, MAX_ITEMS);
        for (let i = 0; i < count; i++) this.skip();
        this.#depth--;
        return;
      }
      case MAP:
        this.#pairs(() => this.skip());
        return;
      case SIMPLE:
        if (this.#argument === FALSE || this.#argument === TRUE) return;
    }
    refuse('a tag, a float, or a simple value that is never written');
  }

  end(): void {
    if (this.#at < this.#data.length) refuse('bytes left over');
  }

  /** Reads an item's head: returns its major type and keeps its argument, which stands in the shortest form. */
  #head(): number {
    const first = this.#data[this.#at++];
    if (first === undefined) refuse('it ends too early');
    const [major, low] = [first >> 5, first & 31];
    if (low < 24) {
      this.#argument = low;
      return major;
    }
    if (low > 27 || major === SIMPLE) refuse('an indefinite length, a float, or a simple value');
    const size = 2 ** (low - 24);
    if (this.#data.length - this.#at < size) refuse('it ends too early');
    this.#argument = this.#number(size);
    this.#at += size;
    if (this.#argument < (size === 1 ? 24 : 2 ** (4 * size))) refuse('a longer form than needed');
    return major;
  }

  #number(size: number): number {
    if (size === 1) return this.#view.getUint8(this.#at);
    if (size === 2) return this.#view.getUint16(this.#at);
    if (size === 4) return this.#view.getUint32(this.#at);
    const value = this.#view.getBigUint64(this.#at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) refuse('a number beyond 2^53-1');
    return Number(value);
  }

  #expect(major: number, what: string): void {
    if (this.#head() !== major) refuse(`another kind of item where ${what} is wanted`);
  }

  #integer(major: number): number {
    if (major === UINT) return this.#argument;
    if (major !== NEGATIVE) refuse('another kind of item where an integer is wanted');
    const value = -1 - this.#argument;
    if (!Number.isSafeInteger(value)) refuse('a number beyond 2^53-1');
    return value;
  }

  /** The content of a byte string or a text, as a view. */
  #take(): Bytes {
    const end = this.#at + this.#argument;
    if (end > this.#data.length) refuse('it ends too early');
    const content = this.#data.subarray(this.#at, end);
    this.#at = end;
    return content;
  }

  /** Enters an array or a map, each of whose items or pairs takes `least` bytes at least; returns their number. */
  #enter(least: number, max: number): number {
    const count = this.#argument;
    // Nobody makes room for what cannot be there.
    if (count > max || count * least > this.#data.length - this.#at) refuse(`${count} items, more than can be`);
    if (++this.#depth > MAX_DEPTH) refuse(`nested deeper than ${MAX_DEPTH}`);
    return count;
  }

  #pairs(entry: (key: number) => void): void {
    const count = this.#enter(2, MAX_ITEMS);
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

/** Puts an encoding together, item by item, each in its one form. */
export class Writer {
  #buffer = new Uint8Array(256);
  #view = new DataView(this.#buffer.buffer);
  #size = 0;

  int(value: number): void {
    if (!Number.isSafeInteger(value)) refuse('an integer beyond 2^53-1');
    if (value >= 0) this.#head(UINT, value);
    else this.#head(NEGATIVE, -1 - value);
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
    this.#buffer[this.#size++] = (SIMPLE << 5) | TRUE;
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
