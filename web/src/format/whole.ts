import { checkRoot, loadBlake3, pieces, rootOf } from './blob.ts';
import type { Bytes } from './bytes.ts';
import type { Content } from './descriptor.ts';
import { FormatError } from './errors.ts';
import type { Name } from './id.ts';
import { paddedLength } from './pad.ts';
import { type ContentKeys, newHead, Opener, parseHeader, Sealer, type StreamHead, withoutPadding } from './seal.ts';
import { HEADER_SIZE, segmentAt, segmentCount, streamLength, streamLengthOf } from './stream.ts';

// A stream that fits in memory, sealed or opened whole: a bundle's listing. Files go through the engine, in parts.

/** A sealed stream, with what its descriptor and its revision record say. */
export interface SealedStream {
  readonly stream: Bytes;
  readonly head: StreamHead;
  readonly commitment: Bytes;
  readonly root: Bytes;
  /** The names of its pieces. */
  readonly names: readonly Name[];
}

/** Seals a plaintext, padding it. The head is fresh; only tests that compare with known streams give one. */
export async function sealStream(keys: ContentKeys, plaintext: Bytes, head = newHead()): Promise<SealedStream> {
  const sealer = await Sealer.create(keys, head);
  const padded = new Uint8Array(paddedLength(plaintext.length));
  padded.set(plaintext);
  const stream = new Uint8Array(streamLength(padded.length));
  stream.set(sealer.header);
  for (let i = 0; i < segmentCount(padded.length); i++) {
    const { last, from, plainFrom, plainTo } = segmentAt(i, stream.length);
    stream.set(await sealer.sealSegment(padded.subarray(plainFrom, plainTo), i, last), from);
  }
  const blake3 = await loadBlake3();
  const names = Array.from(pieces(stream), (piece) => blake3.hash(piece));
  return { stream, head, commitment: sealer.commitment, root: rootOf(blake3, names), names };
}

/** Opens a whole stream; every check of docs/format.md §4 in its order, and nothing is given out before the last. */
export async function openStream(content: Content, releaseKey: Bytes, stream: Bytes): Promise<Bytes> {
  const { fileId, revisionId, key, commitment, root, trueSize } = content;
  const head = parseHeader(stream);
  const length = streamLengthOf(trueSize);
  if (stream.length !== length) {
    throw new FormatError('length', `a stream of ${stream.length} bytes where ${length} are due`);
  }
  const opener = await Opener.create({ key, releaseKey, fileId, revisionId }, head, commitment, length);
  const padded = new Uint8Array(paddedLength(trueSize));
  for (let at = HEADER_SIZE, i = 0; at < length; i++) {
    const { to, plainFrom } = segmentAt(i, length);
    padded.set(await opener.openSegment(stream.subarray(at, to), i), plainFrom);
    at = to;
  }
  const blake3 = await loadBlake3();
  checkRoot(
    rootOf(
      blake3,
      Array.from(pieces(stream), (piece) => blake3.hash(piece)),
    ),
    root,
  );
  return withoutPadding(padded, 0, trueSize);
}
