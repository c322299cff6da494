// Memory of a browser: the proportional set sizes of all its processes, added up.
import { readdirSync, readFileSync } from 'node:fs';
import { pause } from './browser.ts';

function readGone(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the process ended in between
  }
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readGone(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const all: number[] = [];
  const todo = [root];
  for (let pid = todo.pop(); pid !== undefined; pid = todo.pop()) {
    all.push(pid);
    todo.push(...(children.get(pid) ?? []));
  }
  return all;
}

/** In MiB. */
export function pss(root: number): number {
  let kb = 0;
  for (const pid of descendants(root)) {
    kb += Number(/^Pss:\s+(\d+) kB/m.exec(readGone(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  }
  return kb / 1024;
}

/** The lowest of some samples, for a page that is loaded and quiet. */
export async function idlePss(root: number): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 6; i++) {
    await pause(500);
    best = Math.min(best, pss(root));
  }
  return best;
}

/** Samples until stopped; returns the peak. */
export function watchPss(root: number): () => number {
  let peak = pss(root);
  const timer = setInterval(() => {
    peak = Math.max(peak, pss(root));
  }, 250);
  return () => {
    clearInterval(timer);
    return Math.max(peak, pss(root));
  };
}
