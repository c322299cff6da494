import type { Bytes } from '../bytes.ts';
import { array, b16, bytes, int, map, optional, required, type Shape, text, tuple, uint, yes } from '../shape.ts';

/** The shape of cbor.json, which exists for the test only. */
export interface Sample {
  readonly n: number;
  readonly raw: Bytes;
  readonly text?: string;
  readonly id: Bytes;
  readonly sub?: { i: number; on?: true };
  readonly pairs?: [Bytes, number][];
  readonly nested?: Sample;
}

const MAX = 2 ** 20;
const raw = bytes(0, MAX);
const sub = map({ i: required(1, int), on: optional(2, yes) });

/** The shape in itself: it is read by the shape that is declared below. */
const nested: Shape<Sample> = {
  read: (from) => sampleShape.read(from),
  write: (to, value) => sampleShape.write(to, value),
};

export const sampleShape: Shape<Sample> = map({
  n: required(1, uint),
  raw: required(2, raw),
  text: optional(3, text(1, MAX)),
  id: required(4, b16<'sample'>()),
  sub: optional(5, sub),
  pairs: optional(6, array(tuple(raw, int), 1, MAX)),
  nested: optional(7, nested),
}) as Shape<Sample>;
