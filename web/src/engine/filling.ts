import type { Bytes } from '../format/bytes.ts';

// Reading a stream to its end into memory that is there already. Fresh memory for every part costs browsers more than the
// reading itself (docs/decisions/0010-browser-speed.md).

/** Why a stream did not fill its place: it ended before, or went on behind it. */
export type Misfit = 'short' | 'long';
type Came = (bytes: number) => void;

/**
 * Fills `into` with all of a stream, which is read no further than that. `into` is moved: the answer is where it is now,
 * or what did not fit. `came` hears of every part.
 */
export function fill(stream: ReadableStream<Bytes>, into: Bytes, came: Came = () => {}): Promise<Bytes | Misfit> {
  const reader = directReader(stream);
  return reader ? kept(reader, () => directly(reader, into, came)) : copying(stream, into, came);
}

function directReader(stream: ReadableStream<Bytes>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: 'byob' });
  } catch {
    return undefined; // a browser whose files and answers are no streams of bytes: older Safari
  }
}

const underWay = new Set<object>();

/**
 * Keeps a reader from the collector while it is used. Chromium takes a stream that nothing refers to but whoever waits for
 * its next bytes, and the wait then never ends.
 */
async function kept<T>(reader: object, use: () => Promise<T>): Promise<T> {
  underWay.add(reader);
  try {
    return await use();
  } finally {
    underWay.delete(reader);
  }
}

async function directly(reader: ReadableStreamBYOBReader, into: Bytes, came: Came): Promise<Bytes | Misfit> {
  const { byteOffset, length } = into; // each read moves the buffer, and leaves views of it without bytes
  let { buffer } = into;
  for (let at = 0; ; ) {
    // Behind the last byte that is due one more is asked for, which must not be there.
    const place = at < length ? new Uint8Array(buffer, byteOffset + at, length - at) : new Uint8Array(1);
    const { done, value } = await reader.read(place);
    if (done) return at < length ? 'short' : new Uint8Array(buffer, byteOffset, length);
    came(value.length);
    if (at === length) {
      await reader.cancel();
      return 'long';
    }
    ({ buffer } = value);
    at += value.length;
  }
}

async function copying(stream: ReadableStream<Bytes>, into: Bytes, came: Came): Promise<Bytes | Misfit> {
  const reader = stream.getReader();
  let at = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    came(part.value.length);
    if (at + part.value.length > into.length) {
      await reader.cancel();
      return 'long';
    }
    into.set(part.value, at);
    at += part.value.length;
  }
  return at < into.length ? 'short' : into;
}
