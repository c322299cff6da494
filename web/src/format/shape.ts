import type { Bytes } from './bytes.ts';
import { utf8 } from './bytes.ts';
import { FIRST_FREE_KEY, Reader, refuse, Writer } from './cbor.ts';
import { ID_SIZE, type Id, NAME_SIZE, type Name } from './id.ts';

// Shapes: each object of the format is declared once, and read and written by that declaration. Writing checks what
// reading checks, so that nothing leaves that no reader would take.

/** How values of T are read and written. Both refuse what is outside the format (`encoding`). */
export interface Shape<T> {
  read(from: Reader): T;
  write(to: Writer, value: T): void;
}

export type Infer<S> = S extends Shape<infer T> ? T : never;

/** The value whose one encoding `data` is; more than max bytes are refused before decoding. */
export function decode<T>(shape: Shape<T>, data: Bytes, max: number): T {
  const reader = new Reader(data, max);
  const value = shape.read(reader);
  reader.end();
  return value;
}

/** The same where unknown keys are refused whatever their number: what is not that one encoding is none. */
export function decodeExact<T>(shape: Shape<T>, data: Bytes, max: number): T {
  const reader = new Reader(data, max, true);
  const value = shape.read(reader);
  reader.end();
  return value;
}

/** The encoding of value, at most max bytes. */
export function encode<T>(shape: Shape<T>, value: T, max: number): Bytes {
  const writer = new Writer();
  shape.write(writer, value);
  const data = writer.result();
  if (data.length > max) refuse(`${data.length} bytes, at most ${max} allowed`);
  return data;
}

/** A shape with a condition more: `check` says what is wrong with a value, or nothing. */
/* @__NO_SIDE_EFFECTS__ */
export function refine<T>(shape: Shape<T>, check: (value: T) => string | undefined): Shape<T> {
  function checked(value: T): T {
    const wrong = check(value);
    if (wrong !== undefined) refuse(wrong);
    return value;
  }
  return { read: (from) => checked(shape.read(from)), write: (to, value) => shape.write(to, checked(value)) };
}

/** An integer from min to max. */
/* @__NO_SIDE_EFFECTS__ */
export function integer(min: number, max: number): Shape<number> {
  return refine<number>({ read: (from) => from.int(), write: (to, value) => to.int(value) }, (value) =>
    Number.isSafeInteger(value) && value >= min && value <= max ? undefined : `${value} is not from ${min} to ${max}`,
  );
}

export const uint = integer(0, Number.MAX_SAFE_INTEGER);
export const int = integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);

/** A byte string of min to max bytes. */
/* @__NO_SIDE_EFFECTS__ */
export function bytes(min: number, max: number): Shape<Bytes> {
  return refine<Bytes>({ read: (from) => from.bytes(), write: (to, value) => to.bytes(value) }, ({ length }) =>
    length >= min && length <= max ? undefined : `${length} bytes where ${min} to ${max} are wanted`,
  );
}

/** An id of kind K. */
/* @__NO_SIDE_EFFECTS__ */
export function b16<K extends string>(): Shape<Id<K>> {
  return bytes(ID_SIZE, ID_SIZE);
}

export const b32: Shape<Bytes> = bytes(NAME_SIZE, NAME_SIZE);
export const name: Shape<Name> = b32;

/** A text of min to max bytes of UTF-8. */
/* @__NO_SIDE_EFFECTS__ */
export function text(min: number, max: number): Shape<string> {
  function checked(value: string, size: number): string {
    if (size < min || size > max) refuse(`a text of ${size} bytes where ${min} to ${max} are wanted`);
    return value;
  }
  return {
    read(from) {
      const { text: value, size } = from.text();
      return checked(value, size);
    },
    write(to, value) {
      if (/\p{Surrogate}/u.test(value)) refuse('a text with half a surrogate pair');
      to.text(checked(value, utf8(value).length));
    },
  };
}

/** The value true, of an optional key: otherwise the key is left out. */
export const yes: Shape<true> = { read: (from) => from.yes(), write: (to) => to.yes() };

/** An array of min to max items. */
/* @__NO_SIDE_EFFECTS__ */
export function array<T>(item: Shape<T>, min: number, max: number): Shape<T[]> {
  return {
    read: (from) => from.items(min, max, () => item.read(from)),
    write(to, values) {
      if (values.length < min || values.length > max)
        refuse(`${values.length} items where ${min} to ${max} are wanted`);
      to.array(values.length);
      for (const value of values) item.write(to, value);
    },
  };
}

/** A key of a map: its number, the shape of its value, and whether it may be left out. */
interface Field<T, Optional extends boolean> {
  readonly key: number;
  readonly shape: Shape<T>;
  readonly optional: Optional;
}

/* @__NO_SIDE_EFFECTS__ */
export function required<T>(key: number, shape: Shape<T>): Field<T, false> {
  return { key, shape, optional: false };
}

/* @__NO_SIDE_EFFECTS__ */
export function optional<T>(key: number, shape: Shape<T>): Field<T, true> {
  return { key, shape, optional: true };
}

type Fields = Readonly<Record<string, Field<unknown, boolean>>>;
type Required<F extends Fields> = { [P in keyof F]: F[P] extends Field<unknown, true> ? never : P }[keyof F];
type Value<F> = F extends Field<infer T, boolean> ? T : never;
type Fielded<F extends Fields> = { [P in Required<F>]: Value<F[P]> } & {
  [P in Exclude<keyof F, Required<F>>]?: Value<F[P]>;
};
type Flat<T> = { [P in keyof T]: T[P] };

/** A map with named keys: unknown keys below 64 are refused, others ignored; a value undefined is left out. */
/* @__NO_SIDE_EFFECTS__ */
export function map<F extends Fields>(fields: F): Shape<Flat<Fielded<F>>> {
  const inOrder = Object.entries(fields)
    .map(([property, field]) => ({ property, ...field }))
    .sort((a, b) => a.key - b.key); // named keys are not negative: this is their order
  const byKey = new Map(inOrder.map((field) => [field.key, field]));
  return {
    read(from) {
      const value: Record<string, unknown> = {};
      from.entries((key) => {
        const field = byKey.get(key);
        if (field !== undefined) value[field.property] = field.shape.read(from);
        else if (key >= FIRST_FREE_KEY && !from.exact) from.skip();
        else refuse(`unknown key ${key}`);
      });
      for (const { key, property, optional } of inOrder) {
        if (!optional && !(property in value)) refuse(`key ${key} (${property}) is missing`);
      }
      return value as Flat<Fielded<F>>; // every property was read by the shape of its field
    },
    write(to, value) {
      const values: Readonly<Record<string, unknown>> = value;
      const present = inOrder.filter(({ key, property, optional }) => {
        if (values[property] === undefined && !optional) refuse(`key ${key} (${property}) is missing`);
        return values[property] !== undefined;
      });
      to.map(present.length);
      for (const { key, property, shape } of present) {
        to.int(key);
        shape.write(to, values[property]);
      }
    },
  };
}

type Shapes<T extends readonly unknown[]> = { readonly [I in keyof T]: Shape<T[I]> };

/** An array of one item for each shape. */
/* @__NO_SIDE_EFFECTS__ */
export function tuple<T extends readonly unknown[]>(...shapes: Shapes<T>): Shape<T> {
  return {
    read(from) {
      let index = 0;
      const items = from.items(shapes.length, shapes.length, () => shapes[index++]?.read(from));
      return items as unknown as T; // item i was read by shape i
    },
    write(to, value) {
      to.array(shapes.length);
      shapes.forEach((shape, i) => {
        shape.write(to, value[i]);
      });
    },
  };
}
