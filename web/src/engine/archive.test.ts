import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Bytes } from '../format/bytes.ts';
import { zipChunks, zipLength } from './archive.ts';
import type { DownloadFile, DownloadJob } from './messages.ts';

// Archives as other programs read them: Python's zipfile, and unzip where the system has it.

let dir: string;
beforeAll(() => {
  vi.stubGlobal('File', globalThis.File ?? class {}); // the library asks for it by name
  dir = mkdtempSync(join(tmpdir(), 'holdfast-zip-'));
});
afterAll(() => {
  vi.unstubAllGlobals();
  rmSync(dir, { recursive: true });
});

const field = new Uint8Array(32);
function file(name: string, size: number, more: Partial<DownloadFile> = {}): DownloadFile {
  const keys = { fileId: field, revisionId: field, key: field, commitment: field, root: field };
  return { ...keys, name, size, mtime: null, ...more };
}
function job(files: DownloadFile[], folders: string[] = []): DownloadJob {
  return { handle: '', session: '', name: 'x.zip', zip: true, folders, files };
}
async function* content({ size }: DownloadFile): AsyncGenerator<Bytes> {
  for (let left = size; left > 0; left -= 10) yield new Uint8Array(Math.min(left, 10)).fill(left);
}

/** Writes the archive the way a service worker gives it out: each chunk is given away when the next one is asked for. */
async function build(name: string, wanted: DownloadJob): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of zipChunks(wanted, content)) {
    parts.push(Buffer.from(chunk.slice()));
    structuredClone(chunk, { transfer: [chunk.buffer] });
  }
  const path = join(dir, name);
  const whole = Buffer.concat(parts);
  writeFileSync(path, whole);
  expect(whole.length, 'the length that is told before').toBe(zipLength(wanted));
  return path;
}

interface Entry {
  readonly name: string;
  readonly date: number[];
  readonly mode: number;
  readonly size: number;
}
function read(path: string): Entry[] {
  const script = `import json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps([dict(name=i.filename, date=i.date_time, mode=i.external_attr >> 16, size=i.file_size) for i in z.infolist()]))`;
  const out = execFileSync('/usr/bin/python3', ['-c', script, path], { maxBuffer: 1 << 28 });
  return JSON.parse(String(out)) as Entry[];
}
/** Whether unzip takes it; a system without unzip does not say. */
function unzips(path: string): boolean {
  try {
    execFileSync('unzip', ['-tqq', path]);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

describe('a ZIP', () => {
  it('holds files, folders and what may be run', async () => {
    const files = [file('a/b.txt', 25), file('run.sh', 5, { executable: true }), file('empty', 0)];
    const path = await build('plain.zip', job(files, ['leer/ö']));
    expect(read(path).map(({ name, size, mode }) => [name, size, mode])).toEqual([
      ['leer/ö/', 0, 0o40775],
      ['a/b.txt', 25, 0o100644],
      ['run.sh', 5, 0o100755],
      ['empty', 0, 0o100644],
    ]);
    expect(unzips(path)).toBe(true);
  });

  it.each<[string, number | null, number[]]>([
    ['no time', null, [1980, 1, 1, 0, 0, 0]],
    ['1970', 1, [1980, 1, 1, 0, 0, 0]],
    ['long before', -(2 ** 53) * 1000, [1980, 1, 1, 0, 0, 0]],
    ['a time', new Date(2024, 1, 29, 12, 30, 58).getTime(), [2024, 2, 29, 12, 30, 58]],
    ['2150', new Date(2150, 0, 1).getTime(), [2107, 12, 31, 23, 59, 58]],
    ['what no Date can hold', 2 ** 53 * 1000, [2107, 12, 31, 23, 59, 58]],
  ])('says %s as well as it can', async (_, mtime, date) => {
    const [entry] = read(await build('time.zip', job([file('x', 1, { mtime })])));
    expect(entry?.date).toEqual(date);
  });

  it.each([65_535, 65_536])('counts %i entries', { timeout: 120_000 }, async (count) => {
    const files = Array.from({ length: count - 1 }, (_, i) => file(`f${i}`, 0));
    const path = await build('many.zip', job(files, ['d']));
    const entries = read(path);
    expect(entries).toHaveLength(count);
    expect(entries.at(-1)?.name).toBe(`f${count - 2}`);
    expect(unzips(path)).toBe(true);
  });

  it('hands the bytes of files through without a copy, so that they can be freed', async () => {
    const whole = new Uint8Array(10);
    async function* one(): AsyncGenerator<Bytes> {
      yield whole;
    }
    const chunks: Bytes[] = [];
    for await (const chunk of zipChunks(job([file('x', 10)]), one)) chunks.push(chunk);
    expect(chunks).toContain(whole);
  });

  it('tells the length of more entries than 65,535 beyond 4 GiB, where the library writes the records', () => {
    const many = Array.from({ length: 70_000 }, (_, i) => file(`${i}`.padStart(5, '0'), 0));
    const small = zipLength(job(many));
    const large = zipLength(job([...many.slice(1), file('00000', 2 ** 32)]));
    // 8 bytes of the descriptor of a large file and 28 in the directory; the rest, records included, is alike.
    expect(large - small).toBe(2 ** 32 + 8 + 28);
  });
});
