import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Bytes } from '../bytes.ts';
import { FormatError } from '../errors.ts';

// Reads the golden vectors (docs/vectors.md). A case notes which of its fields were asked for: one that no reader
// looks at is an error, so that nothing is skipped by accident.

const FOLDER = fileURLToPath(new URL('../../../../format/testdata/vectors/', import.meta.url));

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectOf(value: Json | undefined, what: string): JsonObject {
  if (!isObject(value)) throw new TypeError(`${what} is not an object`);
  return value;
}

export function fromHex(hex: string): Bytes {
  if (!/^(?:[0-9a-f]{2})*$/.test(hex)) throw new TypeError(`not lower-case hexadecimal: ${hex.slice(0, 40)}`);
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Expects two byte strings to be equal; comparing them as arrays would take seconds for a stream. */
export function expectBytes(have: Uint8Array, want: Uint8Array): void {
  const at = have.findIndex((byte, i) => byte !== want[i]);
  expect({ length: have.length, at, byte: have[at] }).toEqual({ length: want.length, at: -1, byte: undefined });
}

/** The n bytes that vectors give as {"pattern": n}. */
export function pattern(n: number): Bytes {
  return new Uint8Array(n).map((_, i) => (i * 7 + (i >> 8) * 13 + 5) & 255);
}

/** The names of all vector files. */
export function vectorFiles(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort();
}

/** Some fields: a case, or an object within one. */
export class Fields {
  readonly #fields: JsonObject;
  readonly #what: string;
  readonly #asked = new Set<string>();

  constructor(fields: JsonObject, what: string) {
    this.#fields = fields;
    this.#what = what;
  }

  has(field: string): boolean {
    return field in this.#fields;
  }

  raw(field: string): Json {
    this.#asked.add(field);
    const value = this.#fields[field];
    if (value === undefined) throw new TypeError(`${this.#what} has no field ${field}`);
    return value;
  }

  text(field: string): string {
    const value = this.raw(field);
    if (typeof value !== 'string') throw new TypeError(`${field} of ${this.#what} is no text`);
    return value;
  }

  number(field: string): number {
    const value = this.raw(field);
    if (!Number.isSafeInteger(value)) throw new TypeError(`${field} of ${this.#what} is no integer below 2^53`);
    return value as number;
  }

  boolean(field: string): boolean {
    const value = this.raw(field);
    if (typeof value !== 'boolean') throw new TypeError(`${field} of ${this.#what} is neither true nor false`);
    return value;
  }

  hex(field: string): Bytes {
    return fromHex(this.text(field));
  }

  list(field: string): readonly Json[] {
    const value = this.raw(field);
    if (!Array.isArray(value)) throw new TypeError(`${field} of ${this.#what} is no array`);
    return value;
  }

  texts(field: string): string[] {
    return this.list(field).map((item) => {
      if (typeof item !== 'string') throw new TypeError(`${field} of ${this.#what} holds what is no text`);
      return item;
    });
  }

  object(field: string): Fields {
    return new Fields(objectOf(this.raw(field), field), `${this.#what}, ${field}`);
  }

  objects(field: string): Fields[] {
    return this.list(field).map((item, i) => new Fields(objectOf(item, field), `${this.#what}, ${field} ${i}`));
  }

  /** The value of a field where it is, otherwise undefined. */
  maybe<T>(field: string, read: (field: string) => T): T | undefined {
    return this.has(field) ? read.call(this, field) : undefined;
  }

  /** Fails if there is a field that nobody asked for. */
  done(): void {
    const forgotten = Object.keys(this.#fields).filter((field) => !this.#asked.has(field));
    expect(forgotten, `${this.#what}: fields that no reader knows`).toEqual([]);
  }
}

/** One case. */
export class Case extends Fields {
  readonly #file: VectorFile;
  readonly name: string;

  constructor(file: VectorFile, fields: JsonObject, name: string) {
    super(fields, `${file.name}, "${name}"`);
    this.#file = file;
    this.name = this.text('name');
  }

  /** The error that the case must fail with, if it must. */
  get fail(): string | undefined {
    return this.maybe('fail', this.text);
  }

  /** Bytes of variable length, in whichever form they stand. */
  data(field: string): Bytes {
    return this.#data(this.raw(field), field);
  }

  /** A list of such. */
  datas(field: string): Bytes[] {
    return this.list(field).map((value) => this.#data(value, field));
  }

  #data(value: Json, field: string): Bytes {
    if (typeof value === 'string') return fromHex(value);
    const form = objectOf(value, field);
    if (typeof form['pattern'] === 'number') return pattern(form['pattern']);
    if (typeof form['file'] === 'string') return readData(form['file']);
    if (typeof form['of'] === 'string') return this.#edited(form['of'], field, form['edits'] ?? []);
    throw new TypeError(`${field} of "${this.name}" is no data`);
  }

  #edited(of: string, field: string, edits: Json): Bytes {
    if (!Array.isArray(edits)) throw new TypeError(`${field} of "${this.name}" has no edits`);
    const other = (name: string): Bytes => this.#file.find(name).data(field);
    return edits.reduce<Bytes>((bytes, edit) => applyEdit(bytes, objectOf(edit, 'edit'), other), other(of));
  }
}

function readData(file: string): Bytes {
  if (file !== basename(file)) throw new TypeError(`${file} does not lie beside the vectors`);
  return new Uint8Array(readFileSync(FOLDER + file));
}

function pair(value: Json | undefined): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw new TypeError('not a pair of offsets');
  return [Number(value[0]), Number(value[1])];
}

function within(bytes: Bytes, from: number, to: number): Bytes {
  if (!(from >= 0 && from <= to && to <= bytes.length))
    throw new RangeError(`${from} to ${to} of ${bytes.length} bytes`);
  return bytes.subarray(from, to);
}

function applyEdit(bytes: Bytes, edit: JsonObject, other: (name: string) => Bytes): Bytes {
  const { xor, at = 0, take, append, from, range } = edit;
  if (typeof xor === 'string') {
    const mask = fromHex(xor);
    const out = bytes.slice();
    const part = within(out, Number(at), Number(at) + mask.length);
    part.forEach((byte, i) => {
      part[i] = byte ^ (mask[i] ?? 0);
    });
    return out;
  }
  if (Array.isArray(take)) return new Uint8Array(Buffer.concat(take.map((item) => within(bytes, ...pair(item)))));
  if (typeof append === 'string') return new Uint8Array(Buffer.concat([bytes, fromHex(append)]));
  if (typeof from === 'string') {
    const part = within(other(from), ...pair(range));
    const out = bytes.slice();
    within(out, Number(at), Number(at) + part.length).set(part);
    return out;
  }
  throw new TypeError(`an edit of an unknown kind: ${Object.keys(edit)}`);
}

/** A file of vectors. */
export class VectorFile {
  readonly name: string;
  readonly cases: readonly Case[];

  constructor(name: string) {
    this.name = name;
    const file = objectOf(JSON.parse(readFileSync(FOLDER + name, 'utf8')), name);
    expect(Object.keys(file).sort(), name).toEqual(['about', 'cases']);
    const cases = file['cases'];
    if (!Array.isArray(cases) || cases.length === 0) throw new TypeError(`${name} has no cases`);
    this.cases = cases.map((item, i) => {
      const fields = objectOf(item, `case ${i} of ${name}`);
      return new Case(this, fields, String(fields['name']));
    });
    expect(new Set(this.cases.map((c) => c.name)).size, `${name}: names that are not unique`).toBe(cases.length);
  }

  find(name: string): Case {
    const found = this.cases.find((c) => c.name === name);
    if (found === undefined) throw new TypeError(`${this.name} has no case "${name}"`);
    return found;
  }
}

type Check = () => void | Promise<void>;

/**
 * Opens a case's input, which throws the FormatError that opening gives, and returns what compares all that came out of
 * it. They are apart so that a failure counts only where the input was opened: what is decoded and then cannot be
 * encoded again was not refused.
 */
export type CaseReader = (c: Case) => Check | Promise<Check>;

/** The code that opening fails with. */
export async function openingCode(read: CaseReader, c: Case): Promise<string> {
  try {
    await read(c);
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
  return 'no error';
}

/** Declares a test for each case of a file. */
export function testCases(name: string, read: CaseReader): void {
  for (const c of new VectorFile(name).cases) {
    test(c.name, async () => {
      const { fail } = c;
      if (fail !== undefined) expect(await openingCode(read, c)).toBe(fail);
      else await (await read(c))();
      c.done();
    });
  }
}

/** A value of CBOR (maps with integer keys as Map) as the field `value` holds it. */
export function asValue(tree: unknown): unknown {
  if (tree instanceof Uint8Array) return toHex(tree);
  if (Array.isArray(tree)) return tree.map(asValue);
  if (tree instanceof Map) return Object.fromEntries([...tree].map(([key, item]) => [String(key), asValue(item)]));
  return tree;
}
