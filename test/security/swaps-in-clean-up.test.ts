import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { FaultyActor, hasCompiler } from '../support/c-fixture.js';
import { jobLockFile } from '../support/jobs.js';
import { tempDir } from '../support/temp-dir.js';

const DAY = 24 * 3_600_000;

function leaveOld(file: string, content = ''): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  const then = (Date.now() - DAY) / 1000;
  utimesSync(file, then, then);
  return file;
}

/** A jobs directory with the old lock file of one job, a place beside it, and a process that cleans up. */
async function withOldJob() {
  const faulty = await FaultyActor.start();
  const jobsDirectory = path.join(tempDir(), 'jobs');
  const beside = tempDir();
  const file = leaveOld(jobLockFile(jobsDirectory, 'job'));
  const cleanUp = () =>
    faulty.actor.run(async (require, jobsDirectory) => {
      const { JobLockManager } = require('../..') as typeof import('../../lib/index.js');
      const removed = await new JobLockManager(jobsDirectory).cleanupStaleLocks();
      return removed.map(({ jobId }) => jobId);
    }, jobsDirectory);
  return { faulty, job: path.dirname(file), file, beside, cleanUp };
}

describe.skipIf(!hasCompiler)('what is swapped while clean-up is between its calls', () => {
  test('a lock file that was replaced by one that is held is left', async () => {
    const { faulty, file, beside, cleanUp } = await withOldJob();
    const held = leaveOld(path.join(beside, 'held'));
    using guard = new FileLock(held).acquireSync();
    faulty.inject(`flock rename ${held} ${file}`);
    expect(await cleanUp()).toEqual([]);
    expect(faulty.left()).toBe('');
    expect(existsSync(file)).toBe(true);
    expect(guard.held).toBe(true);
  });

  test('a lock file that was replaced by a link is left, and so is what the link points to', async () => {
    const { faulty, file, beside, cleanUp } = await withOldJob();
    const victim = leaveOld(path.join(beside, 'victim'), 'precious');
    symlinkSync(victim, path.join(beside, 'link'));
    faulty.inject(`flock rename ${path.join(beside, 'link')} ${file}`);
    expect(await cleanUp()).toEqual([]);
    expect(faulty.left()).toBe('');
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
  });

  test('a lock file that was replaced by a FIFO is left', async () => {
    const { faulty, file, beside, cleanUp } = await withOldJob();
    const fifo = path.join(beside, 'fifo');
    execFileSync('mkfifo', [fifo]);
    faulty.inject(`flock rename ${fifo} ${file}`);
    expect(await cleanUp()).toEqual([]);
    expect(faulty.left()).toBe('');
    expect(lstatSync(file).isFIFO()).toBe(true);
  });

  test('the removal follows a job directory that was opened, and not what has its name by then', async () => {
    const { faulty, job, beside, cleanUp } = await withOldJob();
    const aside = path.join(beside, 'aside');
    faulty.inject(`flock rename ${job} ${aside}`, `pread rename ${path.join(beside, 'link')} ${job}`);
    const victim = leaveOld(path.join(beside, 'victims/.lock'));
    symlinkSync(path.dirname(victim), path.join(beside, 'link'));
    expect(await cleanUp()).toEqual(['job']);
    expect(faulty.left()).toBe('');
    expect(lstatSync(job).isSymbolicLink()).toBe(true);
    expect(existsSync(victim)).toBe(true);
    expect(existsSync(path.join(aside, '.lock'))).toBe(false);
  });
});
