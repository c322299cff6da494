import { defineConfig } from 'vitest/config';

// Tests in real browsers against the built program. One file at a time: two browsers at once on two cores measure each other.
export default defineConfig({
  cacheDir: '.vite',
  test: {
    environment: 'node',
    include: ['browser/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
