import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { emptyDist } from './build/empty-dist.ts';

// The pages: index.html (home and send) and share.html (served for every /s/…).
// Everything stands in files of its own, because the pages' policy allows no
// inline script, style or data: URL. The service worker is built apart, by
// vite.sw.config.ts, for it must be one script.
export default defineConfig({
  // Of this folder's own, not in node_modules, which copies of the folder share by a link and may use at one time.
  cacheDir: '.vite',
  plugins: [emptyDist(['placeholder.html']), svelte({ configFile: false })],
  build: {
    target: 'es2023',
    outDir: 'dist',
    emptyOutDir: false, // emptyDist does it, and keeps what stands there for builds without Node
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: true,
    rolldownOptions: { input: { index: 'index.html', share: 'share.html' } },
  },
  worker: {
    format: 'es',
    // A chunk that is loaded later must not import from the worker's own script: WebKit does not know that one as a
    // module and runs it a second time, with a state of its own that answers as well. So the script is almost empty.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: 'thread', test: /(?<!\.worker\.ts)$/, entriesAware: true }] } },
    },
  },
  test: {
    environment: 'node',
    include: ['src/**/*.test.ts'],
    testTimeout: 30_000, // Argon2id with 64 MiB, on a busy machine
  },
});
