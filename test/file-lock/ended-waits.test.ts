import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { FaultyActor, hasCompiler } from '../support/c-fixture.js';
import { kernelWaiters } from '../support/kernel-waiters.js';
import { openDescriptors } from '../support/process-state.js';
import { tempLock } from '../support/temp-dir.js';

const { EINTR } = constants.errno;

describe.each(['abort', 'timeout'] as const)('waits that end by %s while another process holds the lock', (end) => {
  test('leave nobody waiting in the kernel', async () => {
    const file = tempLock();
    const holder = await Actor.process();
    await holder.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      new FileLock(file).acquireSync().untilExit();
    }, file);
    const lock = new FileLock(file);
    for (let round = 0; round < 300; round++) {
      const timeout = end === 'timeout' ? 0.001 + (round % 20) * 0.01 : 60_000;
      const controller = new AbortController();
      const wait = lock.acquire({ timeout, signal: controller.signal });
      if (end === 'abort') setImmediate(() => controller.abort());
      await expect(wait).rejects.toThrow();
    }
    await expect.poll(() => kernelWaiters(file), { timeout: 5000 }).toBe(0);
  });
});

test.skipIf(!hasCompiler)('a try that a signal interrupts is made again', async () => {
  const faulty = await FaultyActor.start();
  faulty.inject(`flock errno ${EINTR} 5`);
  const isHeld = await faulty.actor.run((require, file) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    return new FileLock(file).tryAcquire()?.held;
  }, tempLock());
  expect(isHeld).toBe(true);
  expect(faulty.left()).toBe('');
});

test.skipIf(!hasCompiler)(
  'acquireSync times out even if its alarm rings just before it blocks in the kernel',
  async () => {
    const file = tempLock();
    using _guard = new FileLock(file).acquireSync();
    const faulty = await FaultyActor.start();
    faulty.inject('flock-wait sleep 10000'); // which the alarm ends
    const code = faulty.actor.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      try {
        return new FileLock(file).acquireSync({ timeout: 3000 }).held;
      } catch (error) {
        return (error as { code: string }).code;
      }
    }, file);
    const hangs = delay(30_000, 'it is still in the kernel', { ref: false });
    expect(await Promise.race([code, hangs])).toBe('ERR_LOCK_TIMEOUT');
    expect(faulty.left()).toBe('');
  },
);

test('close() closes the descriptor that keepOpen kept', () => {
  const lock = new FileLock(tempLock(), { keepOpen: true });
  lock.acquireSync().release();
  const kept = openDescriptors();
  lock.close();
  expect(openDescriptors()).toBe(kept - 1);
});
