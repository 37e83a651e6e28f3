import { constants } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempDir, tempLock } from '../support/temp-dir.js';
import { canRun, environment, run } from './support/environment.js';
import { descriptorsOf, everyWay, failed, GRANTED, HELD, hold, inspectIn, startWaiting } from './support/ways.js';

const { ENOSYS, EPERM } = constants.errno;

/** Builds the wrapper that denies a system call to a command. */
function deny(call: string, errno: number): string[] {
  const wrapper = path.join(tempDir(), 'deny');
  run('cc', '-o', wrapper, path.join(__dirname, 'support/deny.c'));
  return [wrapper, call, String(errno)];
}

const needs = {
  tools: ['cc'],
  other: [['seccomp in the kernel', () => canRun('grep', '-q', '^Seccomp:', '/proc/self/status')]],
} as const;

/** Sandboxes that a lock does without. Node itself does not start where statx is EACCES. */
const TOLERATED: readonly (readonly [call: string, code: 'ENOSYS' | 'EPERM'])[] = [
  ['statx', 'EPERM'],
  ['statx', 'ENOSYS'],
  ['timer_create', 'EPERM'],
  ['timer_create', 'ENOSYS'],
  ['timer_settime', 'EPERM'],
  ['timer_settime', 'ENOSYS'],
  ['rt_sigtimedwait', 'EPERM'],
  ['rt_sigtimedwait', 'ENOSYS'],
];

for (const [call, code] of TOLERATED) {
  environment(`a sandbox that answers ${call} with ${code}`, needs, () => {
    const startDenied = () => Actor.process({ through: deny(call, constants.errno[code]) });

    for (const mechanism of ['flock', 'fcntl'] as const) {
      test(`${mechanism}: free locks are granted, held ones time out and can be aborted, and nothing stays open`, async () => {
        const file = tempLock();
        const [denied, holder] = [await startDenied(), await Actor.process()];
        expect(await everyWay(denied, file, { mechanism })).toEqual(GRANTED);
        const release = await hold(holder, file, { mechanism });
        expect(await everyWay(denied, file, { mechanism })).toEqual(HELD);
        const descriptors = await descriptorsOf(denied);
        await everyWay(denied, file, { mechanism });
        await expect.poll(() => descriptorsOf(denied)).toBeLessThanOrEqual(descriptors);
        await release();
        expect(await everyWay(denied, file, { mechanism })).toEqual(GRANTED);
      });
    }

    test('a wait is granted when another process releases the lock, and the other way round', async () => {
      const file = tempLock();
      for (const [holder, waiter] of [
        [await Actor.process(), await startDenied()],
        [await startDenied(), await Actor.process()],
      ] as const) {
        const release = await hold(holder, file);
        expect((await inspectIn(waiter, file)).holder?.pid).toBe(holder.pid);
        const wait = await startWaiting(waiter, file);
        await release();
        expect(await wait.granted()).toBe(true);
      }
    });
  });
}

environment('a sandbox that denies flock', needs, () => {
  for (const code of ['EPERM', 'ENOSYS'] as const) {
    test(`every acquisition fails with ${code}, and no descriptor stays open`, async () => {
      const file = tempLock();
      const denied = await Actor.process({ through: deny('flock', code === 'EPERM' ? EPERM : ENOSYS) });
      expect(await everyWay(denied, file)).toEqual(failed(`${code} flock`));
      const descriptors = await descriptorsOf(denied);
      await everyWay(denied, file);
      await expect.poll(() => descriptorsOf(denied)).toBeLessThanOrEqual(descriptors);
      expect((await inspectIn(denied, file)).state).toBe('free');
    });

    test(`fcntl locks do without it (${code})`, async () => {
      const file = tempLock();
      const denied = await Actor.process({ through: deny('flock', code === 'EPERM' ? EPERM : ENOSYS) });
      const release = await hold(denied, file, { mechanism: 'fcntl' });
      expect(await everyWay(await Actor.process(), file, { mechanism: 'fcntl' })).toEqual(HELD);
      await release();
    });
  }
});
