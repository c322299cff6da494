import { makeZip, predictLength } from 'client-zip';
import { type Bytes, utf8 } from '../format/bytes.ts';
import type { DownloadFile, DownloadJob } from './messages.ts';

// Several files as one ZIP, written while they are read; nothing is compressed, since most of what people send is.

/** What a ZIP can say of time: local, in steps of two seconds. Outside it the library writes years that are wrong. */
const EARLIEST = new Date(1980, 0, 1);
const LATEST = new Date(2107, 11, 31, 23, 59, 58);
/** Permissions of files that can be run, and of others. */
const MODES = { program: 0o755, file: 0o644 };

/** From so many entries on their number stands in the records of ZIP64, which the library writes for large archives only. */
const MANY = 0xffff;
/** From so many bytes on it writes them itself. */
const LARGE = 0xffffffff;
const RECORD = 56;
const LOCATOR = 20;

interface Described {
  readonly name: string;
  readonly size: number;
  readonly lastModified: Date;
  readonly mode: number;
}

function describe({ name, size, mtime, executable }: DownloadFile): Described {
  // Whatever the sender states, also what no Date can hold.
  const at = Math.min(LATEST.getTime(), Math.max(EARLIEST.getTime(), mtime ?? 0));
  return { name, size, lastModified: new Date(at), mode: executable === true ? MODES.program : MODES.file };
}

function* folders(job: DownloadJob): Generator<{ name: string }> {
  for (const folder of job.folders) yield { name: `${folder}/` };
}

/** Whether the number of entries needs records that the library leaves out. */
function wantsRecords(job: DownloadJob): boolean {
  if (job.folders.length + job.files.length < MANY) return false;
  let bytes = 0;
  for (const { name } of folders(job)) bytes += 46 + utf8(name).length;
  for (const { name, size } of job.files) bytes += 46 + utf8(name).length + size;
  return bytes < LARGE;
}

/** The archive's length in bytes, for Content-Length. */
export function zipLength(job: DownloadJob): number {
  const length = Number(predictLength([...folders(job), ...job.files.map(describe)]));
  return length + (wantsRecords(job) ? RECORD + LOCATOR : 0);
}

/** The archive as chunks, none of which is used again here; `open` gives a file's verified bytes. */
export async function* zipChunks(
  job: DownloadJob,
  open: (file: DownloadFile) => AsyncGenerator<Bytes>,
): AsyncGenerator<Bytes> {
  const plain = new WeakSet<Uint8Array>();
  async function* inputs(): AsyncGenerator<{ name: string } | (Described & { input: ReadableStream<Bytes> })> {
    yield* folders(job);
    for (const file of job.files) yield { ...describe(file), input: pulled(open(file), plain) };
  }
  const reader = makeZip(inputs(), { buffersAreUTF8: true }).getReader();
  let held: Bytes | undefined;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (held) yield held;
    // The library looks at its own chunks once more, after it gave them; at those of files it does not.
    held = plain.has(part.value) ? (part.value as Bytes) : new Uint8Array(part.value);
  }
  if (!held) return;
  if (wantsRecords(job)) yield records(held, job.folders.length + job.files.length);
  yield held;
}

/** The end of central directory of ZIP64 and its locator (APPNOTE 4.3.14, 4.3.15), from the short end that follows them. */
function records(end: Bytes, entries: number): Bytes {
  const short = new DataView(end.buffer, end.byteOffset);
  const size = BigInt(short.getUint32(12, true));
  const offset = BigInt(short.getUint32(16, true));
  const view = new DataView(new ArrayBuffer(RECORD + LOCATOR));
  view.setUint32(0, 0x06064b50, true);
  view.setBigUint64(4, BigInt(RECORD - 12), true);
  view.setUint16(12, (3 << 8) | 45, true); // made on Unix, version 4.5
  view.setUint16(14, 45, true);
  view.setBigUint64(24, BigInt(entries), true);
  view.setBigUint64(32, BigInt(entries), true);
  view.setBigUint64(40, size, true);
  view.setBigUint64(48, offset, true);
  view.setUint32(RECORD, 0x07064b50, true);
  view.setBigUint64(RECORD + 8, offset + size, true);
  view.setUint32(RECORD + 16, 1, true);
  return new Uint8Array(view.buffer);
}

/** A generator as a stream that reads nothing ahead; what it gives is added to `given`. */
function pulled(source: AsyncGenerator<Bytes>, given: WeakSet<Uint8Array>): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done) {
          controller.close();
          return;
        }
        given.add(value);
        controller.enqueue(value);
      },
      async cancel() {
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}
