import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { STORM_SECONDS, STORM_TIMEOUT } from '../support/storm.js';
import { tempDir } from '../support/temp-dir.js';

const FILES = 300; // with three threads that wait for each of them, more waits than there are waiter threads

test(
  'no file has two holders while waits beyond the waiter threads are granted, aborted, and lose their threads',
  async () => {
    const script = path.join(__dirname, '../fixtures/wait-storm.cjs');
    const { stdout } = await promisify(execFile)(process.execPath, [
      script,
      tempDir(),
      `${1000 * STORM_SECONDS}`,
      `${FILES}`,
    ]);
    const counts = JSON.parse(stdout) as Record<string, number>;
    for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(0);
  },
  STORM_TIMEOUT,
);
