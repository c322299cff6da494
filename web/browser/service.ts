// The built program as separate processes: a whole service, and its command line.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const program = process.env['HOLDFAST_PROGRAM'] ?? join(import.meta.dirname, '..', '..', '.cache', 'holdfast');

export interface Service {
  readonly url: string;
  readonly data: string;
  /** Process ids by the name that the program prints: server, DE, NZ, IS. */
  readonly pids: ReadonlyMap<string, number>;
  readonly output: () => string;
  stop(): Promise<void>;
}

/** Starts `holdfast dev` on ports of its own and waits until it serves. */
export async function startService(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Service> {
  const data = mkdtempSync(join(tmpdir(), 'holdfast-service-'));
  const child = spawn(program, ['dev', '--data', data, '--listen', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const url = await ready(child, () => output);
  const pids = new Map(
    [...output.matchAll(/^\s*(server|node|[A-Z]{2})\b.*?\b(?:pid|process)\s+(\d+)/gim)].map((m) => [
      String(m[1]),
      Number(m[2]),
    ]),
  );
  return {
    url,
    data,
    pids,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      await new Promise((resolve) => (child.exitCode === null ? child.once('exit', resolve) : resolve(undefined)));
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess, output: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the service does not start: ${output()}`)), 60_000);
    child.once('exit', () => reject(new Error(`the service ended: ${output()}`)));
    child.stdout?.on('data', () => {
      const url = /^ready (http\S+)/m.exec(output())?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}

/** Runs a client verb with local state of its own. */
export async function holdfast(
  home: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const { stdout } = await run(program, [...args], {
    env: { ...process.env, HOLDFAST_HOME: home, ...env },
    maxBuffer: 64 << 20,
  });
  return stdout.trim();
}
