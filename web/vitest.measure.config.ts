import { defineConfig } from 'vitest/config';

// Measurements that take minutes and gigabytes: `go run ./dev bench`.
export default defineConfig({
  cacheDir: '.vite',
  test: { environment: 'node', include: ['browser/**/*.measure.ts'], fileParallelism: false, hookTimeout: 600_000 },
});
