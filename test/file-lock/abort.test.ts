import { getEventListeners, setMaxListeners } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FileLock, type LockGuard, LockTimeoutError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { RemoteContender } from '../support/contender.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { expectNoGrowth } from '../support/process-state.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

/** A signal that can be aborted with a known reason. */
function abortable() {
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  return { signal: controller.signal, reason, abort: () => controller.abort(reason) };
}

async function otherProcess(path: string): Promise<RemoteContender> {
  return RemoteContender.open(await Actor.process(), path);
}

describe('an already aborted signal', () => {
  const { signal, reason, abort } = abortable();
  abort();

  test('rejects with its reason and creates neither file nor directory', async () => {
    const file = path.join(tempDir(), 'parent', 'test.lock');
    await expect(new FileLock(file).acquire({ signal })).rejects.toBe(reason);
    await expect(new FileLock(file).withLock(() => expect.fail('it ran'), { signal })).rejects.toBe(reason);
    expect(existsSync(path.dirname(file))).toBe(false);
  });

  test('leaves an existing file untouched', async () => {
    const file = tempLock();
    writeFileSync(file, '');
    const before = statSync(file, { bigint: true });
    await expect(new FileLock(file).acquire({ signal })).rejects.toBe(reason);
    expect(statSync(file, { bigint: true })).toEqual(before);
  });
});

describe('an abort during a wait rejects with the reason', () => {
  test('when the wait is in the kernel', async () => {
    const path = tempLock();
    await (await otherProcess(path)).acquire();
    const { signal, reason, abort } = abortable();
    const waiting = new FileLock(path).acquire({ signal });
    await untilWaiting(path);
    abort();
    await expect(waiting).rejects.toBe(reason);
  });

  test('when the wait is behind a guard of this thread', async () => {
    const lock = new FileLock(tempLock());
    const guard = await lock.acquire();
    const { signal, reason, abort } = abortable();
    const waiting = lock.acquire({ signal });
    abort();
    await expect(waiting).rejects.toBe(reason);
    guard.release();
  });

  test.each([['a string'], [0], [null], [{ any: 'object' }]])('even if the reason is %j', async (reason) => {
    const lock = new FileLock(tempLock());
    const guard = await lock.acquire();
    const controller = new AbortController();
    const waiting = lock.acquire({ signal: controller.signal });
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    guard.release();
  });

  test('which is an AbortError by default', async () => {
    const lock = new FileLock(tempLock());
    const guard = await lock.acquire();
    const controller = new AbortController();
    const waiting = lock.acquire({ signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toBe(controller.signal.reason);
    await expect(waiting).rejects.toHaveProperty('name', 'AbortError');
    guard.release();
  });
});

test('an abort in the middle of the queue keeps the order of the other waiters', async () => {
  const lock = new FileLock(tempLock());
  const guard = await lock.acquire();
  const order: number[] = [];
  const aborts = [0, 1, 2, 3, 4].map(abortable);
  const waits = aborts.map(async ({ signal }, index) => {
    const mine = await lock.acquire({ signal });
    order.push(index);
    mine.release();
  });
  aborts[0]?.abort();
  aborts[2]?.abort();
  guard.release();
  const reasons = (await Promise.allSettled(waits)).map((each) => (each.status === 'rejected' ? each.reason : null));
  expect(reasons).toEqual([aborts[0]?.reason, null, aborts[2]?.reason, null, null]);
  expect(order).toEqual([1, 3, 4]);
});

test('after an abort of the waiter in the kernel, the next waiter takes its place', async () => {
  const path = tempLock();
  const possession = await (await otherProcess(path)).acquire();
  const lock = new FileLock(path);
  const { signal, reason, abort } = abortable();
  const first = lock.acquire({ signal });
  const second = lock.acquire();
  await untilWaiting(path);
  abort();
  await expect(first).rejects.toBe(reason);
  await expectBlocked(second);
  await possession.release();
  (await second).release();
});

test('an abort after the grant has no effect', async () => {
  const path = tempLock();
  const other = await otherProcess(path);
  const { signal, abort } = abortable();
  const guard = await new FileLock(path).acquire({ signal });
  abort();
  await nextTurn();
  expect(guard.held).toBe(true);
  expect(await other.tryAcquire()).toBeNull();
  guard.release();
});

test('an abort between the grant and its delivery has no effect', async () => {
  const lock = new FileLock(tempLock());
  const first = await lock.acquire();
  const { signal, abort } = abortable();
  const waiting = lock.acquire({ signal });
  first.release();
  abort();
  const guard = await waiting;
  expect(guard.held).toBe(true);
  expect(lock.tryAcquire()).toBeNull();
  guard.release();
});

test('after an abort and a release in the same tick, tryAcquire gets the lock', async () => {
  const lock = new FileLock(tempLock());
  const guard = await lock.acquire();
  const { signal, reason, abort } = abortable();
  const waiting = lock.acquire({ signal });
  abort();
  guard.release();
  const tried = lock.tryAcquire();
  expect(tried?.held).toBe(true);
  await expect(waiting).rejects.toBe(reason);
  tried?.release();
});

test('an aborted wait never acquires the lock later', async () => {
  const path = tempLock();
  const [holder, third] = await Promise.all([otherProcess(path), otherProcess(path)]);
  const possession = await holder.acquire();
  const { signal, reason, abort } = abortable();
  const waiting = new FileLock(path).acquire({ signal });
  const rejected = expect(waiting).rejects.toBe(reason);
  await untilWaiting(path);
  abort();
  await possession.release();
  expect(await third.tryAcquire()).not.toBeNull();
  await rejected;
});

describe.each(['flock', 'fcntl'] as const)('%s', (mechanism) => {
  test('an abort that races with a release ends in the grant or in the reason, and leaks nothing', async () => {
    const ROUNDS = 500;
    const path = tempLock();
    const other = await RemoteContender.open(await Actor.process(), path, { mechanism });
    const lock = new FileLock(path, { mechanism });
    const count = { grant: 0, reason: 0 };
    let abortDelay = 0.5; // ms from the request to release until the abort

    const round = async (index: number) => {
      const possession = await other.acquire();
      const { signal, reason, abort } = abortable();
      const ends: unknown[] = [];
      const waiting = lock.acquire({ signal }).then(
        (guard) => ends.push(guard) && guard.release(),
        (error) => ends.push(error),
      );
      const abortAt = performance.now() + abortDelay;
      const released = possession.release();
      // In every other round the event loop is blocked just before the abort, when a grant may arrive.
      while (performance.now() < abortAt - (index % 2) * 0.2) await nextTurn();
      while (performance.now() < abortAt);
      abort();
      await Promise.all([waiting, released]);

      expect(ends).toHaveLength(1);
      const end = ends[0] === reason ? 'reason' : 'grant';
      if (end === 'grant') expect((ends[0] as LockGuard).held).toBe(false);
      count[end]++;
      // Converges to where both outcomes are equally likely, however fast the machine is.
      abortDelay *= end === 'grant' ? 0.8 : 1.25;
      const tried = lock.tryAcquire();
      expect(tried).not.toBeNull();
      tried?.release();
    };
    for (let index = 0; index < 10; index++) await round(index); // starts the threads that are reused
    const expectFlat = expectNoGrowth();
    const end = performance.now() + 10_000;
    for (let index = 0; index < ROUNDS && performance.now() < end; index++) await round(index);
    expect(count.grant).toBeGreaterThan(0);
    expect(count.reason).toBeGreaterThan(0);
    await expectFlat();
    expect(await other.tryAcquire()).not.toBeNull();
  });
});

test.each([['abort'], [1], [null], [true], [{}], [new EventTarget()], [() => {}]])(
  'acquire rejects a signal that is no AbortSignal (%s), and creates no file',
  async (value) => {
    const file = path.join(tempDir(), 'parent', 'test.lock');
    const signal = value as unknown as AbortSignal;
    const refusal = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    await expect(new FileLock(file).acquire({ signal })).rejects.toEqual(refusal);
    expect(existsSync(path.dirname(file))).toBe(false);
  },
);

test('a wait leaves no listener on its signal, however it ends', async () => {
  const WAITS = 1000;
  const lock = new FileLock(tempLock());
  const { signal, reason, abort } = abortable();
  setMaxListeners(0, signal); // this many listeners are intended
  const listeners = () => getEventListeners(signal, 'abort').length;

  const guard = await lock.acquire({ signal });
  expect(listeners()).toBe(0);
  const waits = Array.from({ length: WAITS }, (_, index) =>
    lock.acquire({ signal, timeout: index % 2 ? 5 : Number.POSITIVE_INFINITY }).then(
      (each) => each.release(),
      (error) => expect(error).toBeInstanceOf(LockTimeoutError),
    ),
  );
  expect(listeners()).toBeGreaterThan(0);
  await waits[WAITS - 1];
  guard.release();
  await Promise.all(waits);
  expect(listeners()).toBe(0);

  const again = await lock.acquire();
  const aborted = [lock.acquire({ signal }), lock.acquire({ signal })];
  const rejected = aborted.map((each) => expect(each).rejects.toBe(reason));
  abort();
  await Promise.all(rejected);
  expect(listeners()).toBe(0);
  again.release();
});
