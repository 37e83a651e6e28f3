import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { FileLock } from '../../lib/index.js';
import type { Run } from './subject.js';

/** Of a lock that the process holds. `exposed`: its user knows the descriptor, and may have closed it. */
export const checking =
  (exposed = false): Run =>
  async (subject, faults) => {
    const file = subject.newFile();
    expect(await subject.take(file, 'tryAcquire', 0)).toBe('granted');
    if (exposed) await subject.call('expose');
    const outcome = await subject.underFault(faults, file, () => subject.call('verify'));
    expect(new FileLock(file).tryAcquire()).toBeNull();
    await subject.call('release');
    await subject.expectNothingLeaked(file);
    return outcome;
  };

/** Looks until the second look, which nothing disturbs. Then the file goes, and the loss must be noticed. */
const watching =
  (secondLook: string): Run =>
  async (subject, faults) => {
    const file = subject.newFile();
    expect(await subject.take(file, 'tryAcquire', 0)).toBe('granted');
    const lost = () => subject.call('lost');
    const outcome = await subject.underFault([...faults, secondLook], file, async () => {
      while ((await lost()) === 'held' && !subject.metAll) await delay(20);
      return lost();
    });
    if (outcome === 'held') expect(await subject.call('lose', file)).toMatch(/ERR_LOCK_LOST/);
    else expect(new FileLock(file).tryAcquire()).toBeNull();
    await subject.call('release');
    await subject.expectNothingLeaked(file);
    return outcome;
  };

export const watchingForLoss = watching('statx-path pass 1');
export const watchingForLossOnServer = watching('statx-ask pass 1');

/** `call`: a function of test/fixtures/under-fault.cjs that tells who holds a lock. */
export const lookingUp =
  (call: string, options = { recordHolder: true }): Run =>
  async (subject, faults) => {
    const file = subject.newFile();
    if (subject.isOnServer) {
      await subject.take(file, 'tryAcquire', 0);
      await subject.call('release');
    }
    const holder = new FileLock(file, options).tryAcquire();
    const outcome = await subject.underFault(faults, file, () => subject.call(call, { file, holder: process.pid }));
    holder?.release();
    await subject.expectNothingLeaked(file);
    return outcome;
  };

export const cleaningUp: Run = async (subject, faults) => {
  const directory = subject.newFile();
  const file = path.join(directory, 'job', '.lock');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '');
  utimesSync(file, 0, 0);
  const outcome = await subject.underFault(faults, file, () => subject.call('cleanUp', directory));
  await subject.expectNothingLeaked(file);
  return outcome;
};
