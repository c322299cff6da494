import type { PlacedBlob, Places } from '../api/types.gen.ts';
import { MAX_BLOB } from '../format/blob.ts';
import { FormatError } from '../format/errors.ts';
import { Gone } from './patience.ts';

// Which bytes to ask nodes for. Extents that follow each other in a blob are read as one region, and a region
// that is the whole blob needs no proof: its name checks it.

export type Extent = readonly [blob: number, offset: number, length: number];

/** A run of bytes in one blob. */
export interface Region {
  readonly blob: number;
  readonly from: number;
  readonly to: number;
}

/** Checks what the server says about places before anything is asked of nodes. */
export function checkPlaces(places: Places): void {
  for (const blob of places.blobs) {
    if (blob.nodes.length === 0) throw new Gone(blob.name); // no member holds it
    const known = blob.nodes.every((n) => places.nodes[n] !== undefined);
    const ticketed = places.tickets[blob.ticket] !== undefined;
    if (!known || !ticketed || !(blob.size >= 1 && blob.size <= MAX_BLOB))
      throw new FormatError('length', 'a blob without place');
  }
}

/** Extents must lie in their blobs and add up to the stream's length. */
export function checkExtents(extents: readonly Extent[], blobs: readonly PlacedBlob[], length: number): void {
  let sum = 0;
  for (const [index, offset, size] of extents) {
    const blob = blobs[index];
    if (!blob || !(offset >= 0 && size >= 1 && offset + size <= blob.size))
      throw new FormatError('length', 'an extent outside its blob');
    sum += size;
  }
  if (sum !== length) throw new FormatError('length', 'extents that do not add up');
}

/** Merges extents that touch, blob by blob. */
export function merge(extents: readonly Extent[]): Region[] {
  const sorted = extents.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  const regions: Region[] = [];
  for (const [blob, from, length] of sorted) {
    const last = regions[regions.length - 1];
    if (last && last.blob === blob && from <= last.to) {
      regions[regions.length - 1] = { blob, from: last.from, to: Math.max(last.to, from + length) };
    } else {
      regions.push({ blob, from, to: from + length });
    }
  }
  return regions;
}

/** The region that covers an extent. */
export function covering(regions: readonly Region[], [blob, offset, length]: Extent): Region {
  const region = regions.find((r) => r.blob === blob && r.from <= offset && offset + length <= r.to);
  if (!region) throw new FormatError('length', 'an extent without region');
  return region;
}
