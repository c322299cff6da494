import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from 'vite';

/** Empties the output folder before a build, but for the files named. */
export function emptyDist(keep: readonly string[]): Plugin {
  let folder = '';
  return {
    name: 'holdfast:empty-dist',
    apply: 'build',
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    async buildStart() {
      const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT') return [];
        throw cause;
      });
      for (const name of names) {
        if (!keep.includes(name)) await rm(join(folder, name), { recursive: true });
      }
    },
  };
}
