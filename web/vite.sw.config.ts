import { defineConfig } from 'vite';

// The service worker: one classic script, so that it never waits for a second
// file. It adds to what vite.config.ts built; the server gives it an address of
// its own for each version.
export default defineConfig({
  cacheDir: '.vite',
  publicDir: false,
  build: {
    target: 'es2023',
    outDir: 'dist',
    emptyOutDir: false,
    sourcemap: false,
    rolldownOptions: {
      input: 'src/engine/sw.ts',
      output: { format: 'iife', entryFileNames: 'sw.js', codeSplitting: false },
    },
  },
});
