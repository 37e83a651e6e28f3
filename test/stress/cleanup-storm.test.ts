import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { FileLockOptions } from '../../lib/index.js';
import { jobLockFile } from '../support/jobs.js';
import { findLostUpdate, findTwoHolders, historyOf } from '../support/possessions.js';
import { LoggedProcess, STORM_SECONDS, STORM_TIMEOUT } from '../support/storm.js';
import { tempDir } from '../support/temp-dir.js';

const CLEANERS = 2;
const ACQUIRERS: { sync: boolean; options: FileLockOptions }[] = [
  { sync: false, options: { recordHolder: true } },
  { sync: true, options: { recordHolder: true } },
  { sync: false, options: { keepOpen: true } },
  { sync: true, options: {} },
];

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
const removedBy = (cleaner: LoggedProcess) => sum(cleaner.text.split('\n').map(Number));

test(
  'concurrent clean-up breaks neither exclusion nor the update of a shared counter',
  async () => {
    const directory = tempDir();
    const jobsDirectory = path.join(directory, 'jobs');
    const counter = path.join(directory, 'counter');
    mkdirSync(path.join(jobsDirectory, 'job'), { recursive: true });
    writeFileSync(counter, new BigUint64Array(1));
    const start = (fixture: string, name: string, argument: object) =>
      new LoggedProcess(fixture, path.join(directory, `${name}.log`), argument);
    const acquirers = ACQUIRERS.map((kind, index) =>
      start('contender.cjs', `acquirer-${index}`, { path: jobLockFile(jobsDirectory, 'job'), counter, ...kind }),
    );
    const cleaners = Array.from({ length: CLEANERS }, (_, index) =>
      start('cleaner.cjs', `cleaner-${index}`, { jobsDirectory }),
    );
    const all = [...acquirers, ...cleaners];

    const end = performance.now() + STORM_SECONDS * 1000;
    // However slow the machine is, every process must have had its turn.
    while (performance.now() < end || !all.every((each) => each.hasStarted) || sum(cleaners.map(removedBy)) < 100) {
      await delay(100);
      expect(all.filter((each) => each.hasFailed).map((each) => each.log)).toEqual([]);
    }
    await Promise.all(all.map((each) => each.kill()));

    const possessions = historyOf(acquirers);
    console.log(`${possessions.length} grants, ${cleaners.map(removedBy).join(' + ')} removals`);
    expect(findTwoHolders(possessions)).toBeUndefined();
    expect(findLostUpdate(possessions)).toBeUndefined();
    const values = possessions.flatMap(({ value }) => (value === undefined ? [] : [value]));
    // A process that was killed while it held the lock may have updated the counter or not.
    const killedWhileHolding = possessions.length - values.length;
    const last = values.at(-1) ?? 0n;
    expect(Number(last)).toBeGreaterThanOrEqual(values.length);
    expect(Number(last)).toBeLessThanOrEqual(values.length + killedWhileHolding);
  },
  STORM_TIMEOUT,
);
