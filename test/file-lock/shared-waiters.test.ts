import { expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { RecordingActor } from '../support/jobs.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempLock } from '../support/temp-dir.js';

test('shared waiters behind another process are granted together, while each of them holds the lock', async () => {
  const file = tempLock();
  const holder = await RecordingActor.holding(file);
  const lock = new FileLock(file, { mode: 'shared' });
  const waits = [lock.acquire(), lock.acquire(), lock.acquire()];
  await untilWaiting(file);
  await holder.release();
  const together = await Promise.all(waits);
  expect(together.map(({ held }) => held)).toEqual([true, true, true]);
  for (const guard of together) guard.release();
});
