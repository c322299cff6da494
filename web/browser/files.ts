// Files of pseudo-random bytes, made from a seed, and their hashes.
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

function* random(seed: string, size: number): Generator<Buffer> {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(1 << 20);
  for (let left = size; left > 0; left -= zeros.length)
    yield cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
}

export async function makeFile(path: string, size: number): Promise<string> {
  mkdirSync(dirname(path), { recursive: true });
  await pipeline(Readable.from(random(path, size)), createWriteStream(path));
  return sha256(path);
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** The hashes of a ZIP's files by their names, by another program that also checks its sums. */
export function unzipped(path: string): Record<string, string> {
  const script =
    'import hashlib, json, sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nprint(json.dumps({n: hashlib.sha256(z.read(n)).hexdigest() for n in z.namelist()}))';
  return JSON.parse(String(execFileSync('/usr/bin/python3', ['-c', script, path]))) as Record<string, string>;
}
