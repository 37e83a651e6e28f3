import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { tempDir } from '../support/temp-dir.js';

const FIXTURE = path.join(__dirname, '../fixtures/growth.cjs');
const measurable = existsSync('/proc/self/smaps_rollup');
if (!measurable) console.warn('Skipped: tests of growth. They need /proc/self/smaps_rollup.');

interface Measure {
  descriptors: number;
  threads: number;
  /** Private dirty memory, in KiB. */
  memory: number;
}

/**
 * `kilobytes`: the margin. Measured in unchanged code: up to 0.4 MiB for the cycles, 1.7 for the workers, and 6 for the
 * waits, of which Node's abort signals and promises alone make as much; that levels off after 12,000.
 */
const KINDS = [
  { kind: 'cycles', warmUp: 20_000, rounds: 200_000, kilobytes: 4_000 },
  { kind: 'waits', warmUp: 1_000, rounds: 3_000, kilobytes: 12_000 },
  { kind: 'workers', warmUp: 20, rounds: 100, kilobytes: 8_000 },
];
/** A thread whose wait has ended may not have parked yet when the next wait needs one. */
const MORE_THREADS = 4;

test.skipIf(!measurable).each(KINDS)(
  '$rounds $kind leave no descriptor, no thread and no memory behind',
  async ({ kilobytes, ...argument }) => {
    const directory = tempDir();
    const held = path.join(directory, 'held');
    using guard = new FileLock(held).acquireSync();
    const json = JSON.stringify({ ...argument, directory, held });
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', FIXTURE, json]);
    const { before, after } = JSON.parse(stdout) as { before: Measure; after: Measure };
    console.log(`${argument.kind}: ${stdout}`);
    expect(guard.held).toBe(true);
    expect(after.descriptors).toBe(before.descriptors);
    expect(after.threads).toBeLessThanOrEqual(before.threads + MORE_THREADS);
    expect(after.memory - before.memory).toBeLessThan(kilobytes);
  },
);
