import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Environments that need root, and packages that scripts/environments installs. One at a time: each has the machine.
export default defineConfig({
  resolve: {
    alias: [{ find: /^(?:\.\.\/)+lib\//, replacement: fileURLToPath(new URL('../../dist/', import.meta.url)) }],
  },
  test: {
    root: fileURLToPath(new URL('.', import.meta.url)),
    include: ['**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 900_000,
  },
});
