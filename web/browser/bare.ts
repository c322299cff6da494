// The baselines of measurements: a bare server as its own process, and what its pages do.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Bare {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the server with some pages and scripts, by their names, and a file to give out. */
export async function startBare(pages: Readonly<Record<string, string>>, file = ''): Promise<Bare> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bare-'));
  for (const [name, text] of Object.entries(pages)) writeFileSync(join(folder, name), text);
  const child = spawn(process.execPath, [join(import.meta.dirname, 'bare.mjs'), folder, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    void ended.then(() => reject(new Error('the bare server ended')));
    child.stdout.once('data', (line: Buffer) => resolve(String(line).trim().replace('ready ', '')));
  });
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Uploads a chosen file as fast as a page can: slices of 16 MiB straight from the disk, two at once, by XMLHttpRequest
 * (fetch is no faster in either browser). `fetched` reads a body of the server to its end and drops it.
 */
export const TRANSFER_PAGE = `<!doctype html><meta charset="utf-8"><title>bare</title><input type="file">
<a href="/save">save</a>
<script>
const SLICE = 16 << 20;

function post(body) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.onload = () => (xhr.status === 204 ? resolve() : reject(new Error('HTTP ' + xhr.status)));
    xhr.onerror = () => reject(new Error('the sink is away'));
    xhr.open('POST', '/sink');
    xhr.send(body);
  });
}

async function uploaded() {
  const [file] = document.querySelector('input').files;
  const begin = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < file.size) {
      const from = next;
      next += SLICE;
      await post(file.slice(from, next));
    }
  };
  await Promise.all([lane(), lane()]);
  return (performance.now() - begin) / 1000;
}

async function fetched(bytes) {
  const begin = performance.now();
  const reader = (await fetch('/file', { cache: 'no-store' })).body.getReader();
  let got = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) got += part.value.length;
  if (got !== bytes) throw new Error('a file of ' + got + ' bytes');
  return (performance.now() - begin) / 1000;
}
</script>
`;
