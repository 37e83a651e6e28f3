import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { withoutExcluded } from './excluded.mjs';

// The suites that run over the shim, and what holds on macOS only: in a copy of the tree.
export default defineConfig({
  resolve: {
    alias: [{ find: /^(?:\.\.\/)+lib\//, replacement: fileURLToPath(new URL('../../dist/', import.meta.url)) }],
  },
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/{file-lock,job-lock-manager,darwin-shim}/*.test.ts'],
    testNamePattern: withoutExcluded,
    pool: 'forks',
    execArgv: ['--expose-gc'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
