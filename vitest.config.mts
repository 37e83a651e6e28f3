import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // What is tested is what is shipped: the built files, which load each other as Node does.
  resolve: { alias: [{ find: /^(?:\.\.\/)+lib\//, replacement: fileURLToPath(new URL('dist/', import.meta.url)) }] },
  test: {
    include: ['test/**/*.test.ts'],
    // The first need root and packages of the system: npm run test:environments. The others another addon: npm run
    // test:darwin-shim.
    exclude: ['test/environments/**', 'test/darwin-shim/**'],
    // Processes, so that each file has a main thread, descriptors and threads of its own to count.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    // No test depends on speed; this only ends one that hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
