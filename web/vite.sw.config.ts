import { defineConfig } from 'vite';

// The service worker: one classic script at /sw.js, so that its scope is / and
// that it never waits for a second file. It adds to what vite.config.ts built.
export default defineConfig({
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
