import { makeZip, predictLength } from 'client-zip';
import type { Bytes } from '../format/bytes.ts';
import type { DownloadFile, DownloadJob } from './messages.ts';

// Several files as one ZIP, written while they are read; nothing is compressed, since most of what people send is.

function modified({ mtime }: DownloadFile): Date {
  return new Date(mtime ?? 0);
}

function* describe(job: DownloadJob): Generator<{ name: string } | { name: string; size: number; lastModified: Date }> {
  for (const folder of job.folders) yield { name: `${folder}/` };
  for (const file of job.files) yield { name: file.name, size: file.size, lastModified: modified(file) };
}

/** The archive's length in bytes, for Content-Length. */
export function zipLength(job: DownloadJob): number {
  return Number(predictLength([...describe(job)]));
}

/** The archive as chunks; `open` gives a file's verified bytes. */
export async function* zipChunks(
  job: DownloadJob,
  open: (file: DownloadFile) => AsyncGenerator<Bytes>,
): AsyncGenerator<Bytes> {
  async function* inputs(): AsyncGenerator<
    { name: string } | { name: string; lastModified: Date; input: ReadableStream<Bytes>; size: number }
  > {
    for (const folder of job.folders) yield { name: `${folder}/` };
    for (const file of job.files) {
      yield { name: file.name, size: file.size, lastModified: modified(file), input: pulled(open(file)) };
    }
  }
  const reader = makeZip(inputs(), { buffersAreUTF8: true }).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield new Uint8Array(part.value);
}

/** A generator as a stream that reads nothing ahead. */
function pulled(source: AsyncGenerator<Bytes>): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}
