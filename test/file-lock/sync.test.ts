import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileLock, LockError, LockTimeoutError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { RemoteContender } from '../support/contender.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

/** Ends a wait that would otherwise block this thread, and the test, forever. */
const STUCK_MS = 5000;

const now = () => process.hrtime.bigint();

/** Two absolute paths of one file: the second goes through a symlink to its directory. */
function twoSpellings(): [string, string] {
  const directory = tempDir();
  mkdirSync(path.join(directory, 'real'));
  symlinkSync('real', path.join(directory, 'link'));
  return [path.join(directory, 'real', 'test.lock'), path.join(directory, 'link', 'test.lock')];
}

function caught(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe.each(['flock', 'fcntl'] as const)('%s', (mechanism) => {
  test.each([
    ['process', Actor.process],
    ['worker thread', Actor.worker],
  ])('acquireSync blocks until another %s releases', async (_name, start) => {
    const path = tempLock();
    const other = await RemoteContender.open(await start(), path, { mechanism });
    const { released } = await (await other.acquire()).releaseWhenAwaited();
    const guard = new FileLock(path, { mechanism }).acquireSync({ timeout: STUCK_MS });
    const since = now();
    expect(since).toBeGreaterThanOrEqual(await released);
    expect(guard.held).toBe(true);
    expect(await other.tryAcquire()).toBeNull();
    guard.release();
  });

  describe('acquireSync fails immediately with EDEADLK if a guard of this thread conflicts', () => {
    const deadlock = expect.objectContaining({ name: 'LockError', code: 'EDEADLK' });

    test.each([
      ['exclusive', 'exclusive'],
      ['exclusive', 'shared'],
      ['shared', 'exclusive'],
    ] as const)('held %s, wanted %s', async (held, wanted) => {
      const lock = new FileLock(tempLock(), { mechanism, timeout: STUCK_MS });
      const guard = await lock.acquire({ mode: held });
      expect(() => lock.acquireSync({ mode: wanted })).toThrow(deadlock);
      expect(guard.held).toBe(true);
      guard.release();
      lock.acquireSync({ mode: wanted }).release();
    });

    test('through another FileLock and another path of the same file', async () => {
      const [real, link] = twoSpellings();
      const guard = new FileLock(real, { mechanism }).acquireSync();
      expect(() => new FileLock(real, { mechanism }).acquireSync({ timeout: STUCK_MS })).toThrow(deadlock);
      expect(() => new FileLock(link, { mechanism }).acquireSync({ timeout: STUCK_MS })).toThrow(deadlock);
      guard.release();
    });

    test('with the properties of a system error', () => {
      const path = tempLock();
      const lock = new FileLock(path, { mechanism, timeout: STUCK_MS });
      const guard = lock.acquireSync();
      const error = caught(() => lock.acquireSync());
      expect(error).toBeInstanceOf(LockError);
      expect(error).toMatchObject({ path, syscall: expect.any(String), errno: expect.any(Number) });
      expect((error as LockError).errno).toBeLessThan(0);
      guard.release();
    });
  });

  test('a shared guard of this thread does not conflict with a shared acquireSync', async () => {
    const lock = new FileLock(tempLock(), { mechanism, mode: 'shared', timeout: STUCK_MS });
    const guard = await lock.acquire();
    lock.acquireSync().release();
    guard.release();
  });

  test('with timeout 0, a guard of this thread is treated like any other holder', async () => {
    const lock = new FileLock(tempLock(), { mechanism });
    const guard = await lock.acquire();
    expect(caught(() => lock.acquireSync({ timeout: 0 }))).toBeInstanceOf(LockTimeoutError);
    guard.release();
  });

  test('acquireSync overtakes the async waiters of its thread, which are granted afterwards', async () => {
    const path = tempLock();
    const other = await RemoteContender.open(await Actor.process(), path, { mechanism });
    const lock = new FileLock(path, { mechanism, timeout: STUCK_MS });
    for (const [waiterMode, mode] of [
      ['exclusive', 'shared'],
      ['shared', 'exclusive'],
    ] as const) {
      const possession = await other.acquire();
      const order: string[] = [];
      const waiting = lock.acquire({ mode: waiterMode }).then((guard) => {
        order.push('waiter');
        return guard;
      });
      await untilWaiting(path);
      // The mode tells the other process that this call is blocked in the kernel, no longer the async waiter.
      const { released } = await possession.releaseWhenAwaited(mode);
      const guard = lock.acquireSync({ mode });
      order.push('acquireSync');
      expect(guard.held).toBe(true);
      await released;
      guard.release();
      (await waiting).release();
      expect(order).toEqual(['acquireSync', 'waiter']);
    }
  });

  describe('no grant gets stuck behind an event loop that acquireSync blocks', () => {
    test.each([
      ['the same path', () => Array<string>(2).fill(tempLock())],
      ['another path of the same file', twoSpellings],
    ])('when the async waiters use %s', async (_name, makePaths) => {
      const ROUNDS = 30;
      const [mine = '', theirs = ''] = makePaths();
      const other = await RemoteContender.open(await Actor.process(), mine, { mechanism });
      const lock = new FileLock(mine, { mechanism, timeout: STUCK_MS });
      const waiters = new FileLock(theirs, { mechanism, timeout: STUCK_MS });
      for (let round = 0; round < ROUNDS; round++) {
        const possession = await other.acquire();
        const waiting = waiters.acquire();
        await untilWaiting(mine);
        // The grant may come before the call, between its attempts, or while it waits.
        const released = possession.release();
        lock.acquireSync().release();
        await released;
        (await waiting).release();
      }
      expect(lock.tryAcquire()?.release()).toBeUndefined();
      expect(await other.tryAcquire()).not.toBeNull();
    });
  });
});

test('synchronous methods refuse options that they cannot honour', () => {
  const lock = new FileLock(tempLock());
  const { signal } = new AbortController();
  const refusal = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  expect(() => lock.acquireSync({ signal: signal as never })).toThrow(refusal);
  expect(() => lock.tryAcquire({ signal: signal as never })).toThrow(refusal);
  expect(() => lock.tryAcquire({ timeout: 10 as never })).toThrow(refusal);
  lock.acquireSync().release();
});

test('an acquireSync that times out keeps the order of the async waiters', async () => {
  const path = tempLock();
  const possession = await (await RemoteContender.open(await Actor.process(), path)).acquire();
  const lock = new FileLock(path);
  const order: number[] = [];
  const waits = [1, 2].map(async (each) => {
    const guard = await lock.acquire();
    order.push(each);
    guard.release();
  });
  await untilWaiting(path);
  expect(caught(() => lock.acquireSync({ timeout: 120 }))).toBeInstanceOf(LockTimeoutError);
  await possession.release();
  await Promise.all(waits);
  expect(order).toEqual([1, 2]);
});
