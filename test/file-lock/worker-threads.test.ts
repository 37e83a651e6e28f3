import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { RemoteContender } from '../support/contender.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { expectNoGrowth } from '../support/process-state.js';
import { Script } from '../support/script.js';
import { tempLock } from '../support/temp-dir.js';

// The first: it is in a process of its own, whose crash is a failure of this test, and not the end of all of them.
test('terminating waiting workers in a process whose main thread never loads the addon neither crashes nor leaks threads', async () => {
  const WORKERS = 30;
  const path = tempLock();
  const holder = await RemoteContender.open(await Actor.process(), path);
  const possession = await holder.acquire();
  const script = await Script.start('workers-come-and-go.cjs', { path, workers: WORKERS });
  script.proceed();
  expect(await script.ended(), script.output).toMatchObject({ code: 0, signal: null });
  const { before, after } = JSON.parse(script.output.slice(script.output.indexOf('{')));
  // One leaked thread per worker would show; a few that have not parked yet do not matter.
  expect(after - before).toBeLessThan(WORKERS / 3);
  await possession.release();
  expect(await holder.tryAcquire()).not.toBeNull();
});

const endings: Record<string, (worker: Actor) => Promise<unknown>> = {
  'that calls process.exit()': (worker) => {
    worker.call('exit').catch(() => {}); // it never answers
    return worker.ended;
  },
  'that is terminated': (worker) => worker.end(),
};

describe.each(Object.entries(endings))('a worker thread %s', (_name, end) => {
  test.each(['flock', 'fcntl'] as const)('releases its %s lock immediately', async (mechanism) => {
    const path = tempLock();
    const worker = await Actor.worker();
    const inWorker = await RemoteContender.open(worker, path, { mechanism });
    const elsewhere = await RemoteContender.open(await Actor.process(), path, { mechanism });
    const lock = new FileLock(path, { mechanism });
    await inWorker.acquire();
    expect(lock.tryAcquire()).toBeNull();
    expect(await elsewhere.tryAcquire()).toBeNull();
    await end(worker);
    const guard = lock.tryAcquire();
    expect(guard).not.toBeNull();
    guard?.release();
    expect(await elsewhere.tryAcquire()).not.toBeNull();
  });

  test('releases its lock to a waiter', async () => {
    const path = tempLock();
    const worker = await Actor.worker();
    await (await RemoteContender.open(worker, path)).acquire();
    const waiting = new FileLock(path, { timeout: Number.POSITIVE_INFINITY }).acquire();
    await expectBlocked(waiting);
    await end(worker);
    (await waiting).release();
  });

  test('during a wait never acquires the lock later, and leaks nothing', async () => {
    const path = tempLock();
    const lock = new FileLock(path);
    const guard = await lock.acquire();
    await new FileLock(tempLock()).withLock(() => {});
    const expectFlat = expectNoGrowth();
    const worker = await Actor.worker();
    const waiting = (await RemoteContender.open(worker, path)).acquire();
    const rejected = expect(waiting).rejects.toThrow('the actor has ended');
    await untilWaiting(path);
    await end(worker);
    await rejected;
    guard.release();
    // The thread of the wait may be granted it even now, and gives it back.
    lock.acquireSync({ timeout: 5000 }).release();
    await expectFlat();
  });

  test('does not affect the locks of other threads', async () => {
    const path = tempLock();
    const lock = new FileLock(path);
    const worker = await Actor.worker();
    await (await RemoteContender.open(worker, tempLock())).acquire();
    const elsewhere = await RemoteContender.open(await Actor.process(), path);
    const guard = await lock.acquire();
    const waiting = lock.acquire();
    await end(worker);
    expect(guard.held).toBe(true);
    expect(await elsewhere.tryAcquire()).toBeNull();
    guard.release();
    (await waiting).release();
  });
});
