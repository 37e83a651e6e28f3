import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Processes, so that each file has a main thread, descriptors and threads of its own to count.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    // No test depends on speed; this only ends one that hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
