import { decode as decodeCbor, encode as encodeCbor, rfc8949EncodeOptions } from 'cborg';
import { expect } from 'vitest';
import type { Bytes } from '../bytes.ts';
import { failure } from './random.kit.ts';

// Encodings that no writer here makes: a good one is taken apart by another library, changed, and put together again.

type Scalar = number | string | Bytes | boolean;
export type Tree = Scalar | Tree[] | Map<number, Tree>;
/** Where something stands in a tree: a key of a map or an index of an array for each level. */
export type Path = readonly number[];

export function treeOf(encoded: Bytes): Tree {
  return decodeCbor(encoded, { useMaps: true }) as Tree;
}

export function encodingOf(tree: Tree): Bytes {
  return new Uint8Array(encodeCbor(tree, rfc8949EncodeOptions));
}

function child(tree: Tree, at: number): Tree | undefined {
  if (tree instanceof Map) return tree.get(at);
  return Array.isArray(tree) ? tree[at] : undefined;
}

/** A copy of the tree in which `value` stands at the path; undefined takes away what stands there. */
export function put(tree: Tree, path: Path, value: Tree | undefined): Tree {
  const [at, ...rest] = path;
  if (at === undefined) return value ?? new Map();
  const below = child(tree, at);
  const next = rest.length > 0 && below !== undefined ? put(below, rest, value) : value;
  if (Array.isArray(tree)) return next === undefined ? tree.toSpliced(at, 1) : tree.with(at, next);
  if (!(tree instanceof Map)) throw new TypeError(`nothing is below ${path.join('/')}`);
  const copy = new Map(tree);
  if (next === undefined) copy.delete(at);
  else copy.set(at, next);
  return copy;
}

/** The paths of all that is in the tree, itself first. */
export function pathsOf(tree: Tree, here: Path = []): Path[] {
  const keys = tree instanceof Map ? [...tree.keys()] : Array.isArray(tree) ? [...tree.keys()] : [];
  return [here, ...keys.flatMap((at) => pathsOf(child(tree, at) ?? 0, [...here, at]))];
}

export function at(tree: Tree, path: Path): Tree {
  return path.reduce<Tree>((below, key) => child(below, key) ?? 0, tree);
}

const KINDS: readonly Tree[] = [5, 'x', new Uint8Array(1), true, [], new Map()];

function kindOf(tree: Tree): string {
  if (tree instanceof Uint8Array) return 'bytes';
  if (Array.isArray(tree)) return 'array';
  return tree instanceof Map ? 'map' : typeof tree;
}

type Decode = (encoded: Bytes) => unknown;

function verdict(decode: Decode, tree: Tree) {
  return failure(() => decode(encodingOf(tree)));
}

/** Everything is of the kind that is there, and what is true is left out, not false. */
async function holdToKind(decode: Decode, tree: Tree, path: Path): Promise<void> {
  const here = at(tree, path);
  const others = KINDS.filter((other) => kindOf(other) !== kindOf(here));
  for (const other of typeof here === 'boolean' ? [false, ...others] : others) {
    expect(await verdict(decode, put(tree, path, other)), path.join('/')).toBe('encoding');
  }
}

/** No key below 64 may be added; others may, as long as what stands under them is of the format. */
async function holdToKeys(decode: Decode, tree: Tree, path: Path): Promise<void> {
  const value = await decode(encodingOf(tree));
  for (const key of [-(2 ** 53) + 1, -1, 0, 63]) {
    const name = `${path.join('/')} with ${key}`;
    expect(await verdict(decode, put(tree, [...path, key], 1)), name).toBe('encoding');
  }
  for (const key of [64, 2 ** 53 - 1]) {
    expect(await decode(encodingOf(put(tree, [...path, key], new Map([[0, 'new']]))))).toEqual(value);
    const half = encodingOf(put(tree, [...path, key], 'half'));
    const broken = half.with(Buffer.from(half).lastIndexOf('half'), 0xff);
    expect(await failure(() => decode(broken)), `${path.join('/')} with ${key}`).toBe('encoding');
  }
}

/**
 * Holds a decoder to its shape by one good encoding: all kinds, all keys but the `optional` ones, written as 1/0/2, no
 * others below 64, nothing missing at the end and nothing left over.
 */
export async function holdToShape(decode: Decode, good: Bytes, optional: readonly string[]): Promise<void> {
  const tree = treeOf(good);
  expect(encodingOf(tree)).toEqual(good);
  for (const path of pathsOf(tree)) {
    await holdToKind(decode, tree, path);
    if (at(tree, path) instanceof Map) await holdToKeys(decode, tree, path);
    if (path.length === 0 || !(at(tree, path.slice(0, -1)) instanceof Map)) continue;
    const name = path.join('/');
    const code = await verdict(decode, put(tree, path, undefined));
    expect(code, name).toBe(optional.includes(name) ? undefined : 'encoding');
  }
  for (let size = 0; size < good.length; size += 1 + Math.floor(good.length / 200)) {
    expect(await failure(() => decode(good.slice(0, size)))).toBe('encoding');
  }
  expect(await failure(() => decode(new Uint8Array([...good, 0])))).toBe('encoding');
}
