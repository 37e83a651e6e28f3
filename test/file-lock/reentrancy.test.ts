import diagnostics from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileLock, type LockReport } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { RemoteContender } from '../support/contender.js';
import { abandon, jobLockFile, tempManager } from '../support/jobs.js';
import { tempLock } from '../support/temp-dir.js';

function subscribe(channel: string, listener: (message: unknown) => void): void {
  diagnostics.subscribe(channel, listener);
  onTestFinished(() => void diagnostics.unsubscribe(channel, listener));
}

async function heldElsewhere(file: string) {
  return (await RemoteContender.open(await Actor.process(), file)).acquire();
}

test("a signal that a subscriber aborts at an acquisition's start ends the wait", async () => {
  const file = tempLock();
  await heldElsewhere(file);
  const controller = new AbortController();
  subscribe('tracing:native-file-lock.acquire:start', () => controller.abort(new Error('stop')));
  const wait = new FileLock(file).acquire({ timeout: Number.POSITIVE_INFINITY, signal: controller.signal });
  await expect(wait).rejects.toThrow('stop');
});

describe('a manager that a subscriber of the abandoned channel closes', () => {
  async function abandonedJob() {
    const manager = tempManager();
    const pid = await abandon(jobLockFile(manager.jobsDirectory, 'job'));
    subscribe('native-file-lock.abandoned', () => manager.close());
    return { manager, pid };
  }

  test.each([
    ['lockJobDirectory', async (manager: ReturnType<typeof tempManager>) => manager.lockJobDirectory('job')],
    ['lockJobDirectorySync', async (manager: ReturnType<typeof tempManager>) => manager.lockJobDirectorySync('job')],
    ['tryLockJobDirectory', async (manager: ReturnType<typeof tempManager>) => manager.tryLockJobDirectory('job')],
    ['jobLock', async (manager: ReturnType<typeof tempManager>) => manager.jobLock('job', () => 'it ran')],
  ] as const)('gives out no guard from %s, and the abandonment is reported to the next', async (_, lock) => {
    const { manager, pid } = await abandonedJob();
    await expect(lock(manager)).rejects.toMatchObject({ code: 'ERR_LOCK_CLOSED' });
    expect(manager.getLockStatus()).toEqual({ activeLocks: [], lockCount: 0 });
    const next = new FileLock(jobLockFile(manager.jobsDirectory, 'job'), { recordHolder: true }).tryAcquire();
    expect(next?.previousHolder?.pid).toBe(pid);
    next?.release();
  });
});

test('unlockJobDirectory does not take a lock from a caller that does not have it yet', async () => {
  const manager = tempManager();
  const promise = manager.lockJobDirectory('job');
  expect(manager.isJobLocked('job')).toBe(false);
  expect(manager.unlockJobDirectory('job')).toBe(false);
  const guard = await promise;
  expect(guard.held).toBe(true);
  expect(manager.isJobLocked('job')).toBe(true);
  expect(manager.unlockJobDirectory('job')).toBe(true);
  expect(guard.held).toBe(false);
});

describe('withLock with a signal that aborts after the grant', () => {
  test('does not run its function, and frees the lock', async () => {
    const lock = new FileLock(tempLock());
    const controller = new AbortController();
    let ran = false;
    const result = lock.withLock(
      () => {
        ran = true;
      },
      { signal: controller.signal },
    );
    controller.abort(new Error('stop'));
    await expect(result).rejects.toThrow('stop');
    expect(ran).toBe(false);
    expect(lock.tryAcquire()?.held).toBe(true);
  });

  test('leaves the report of an abandoned lock to the next holder', async () => {
    const file = tempLock();
    const pid = await abandon(file);
    const lock = new FileLock(file, { recordHolder: true });
    const controller = new AbortController();
    const result = lock.withLock(() => {}, { signal: controller.signal });
    controller.abort(new Error('stop'));
    await expect(result).rejects.toThrow('stop');
    expect(lock.tryAcquire()?.previousHolder?.pid).toBe(pid);
  });

  test('holds for jobs too', async () => {
    const manager = tempManager();
    const controller = new AbortController();
    const result = manager.jobLock('job', () => 'it ran', { signal: controller.signal });
    controller.abort(new Error('stop'));
    await expect(result).rejects.toThrow('stop');
    expect(manager.tryLockJobDirectory('job')?.held).toBe(true);
  });
});

describe('onWait', () => {
  test('is called once, with who holds the lock', async () => {
    const file = tempLock();
    const holder = await Actor.process();
    const possession = await (await RemoteContender.open(holder, file)).acquire();
    const reports: LockReport[] = [];
    const reported = new Promise<void>((resolve) => {
      const wait = new FileLock(file).acquire({
        onWait: (report) => {
          reports.push(report);
          resolve();
        },
      });
      onTestFinished(async () => (await wait).release());
    });
    await reported;
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({ path: file, state: 'held', mode: 'exclusive', holder: { pid: holder.pid } });
    await possession.release();
  });

  test('reports a guard of this thread, too', async () => {
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    let wait: Promise<{ release(): void }> | undefined;
    const report = await new Promise<LockReport>((resolve) => {
      wait = new FileLock(file).acquire({ onWait: resolve });
    });
    expect(report.holder?.thisProcess).toBe(true);
    guard.release();
    (await wait)?.release();
  });

  test('is not called for a wait that ends before', async () => {
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    let calls = 0;
    const onWait = () => {
      calls++;
    };
    const granted = new FileLock(file).acquire({ onWait });
    const timedOut = new FileLock(file).acquire({ timeout: 20, onWait });
    await expect(timedOut).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
    guard.release();
    (await granted).release();
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(calls).toBe(0);
  });

  test('is not called for a wait that the onWait of another one has ended', async () => {
    const lock = new FileLock(tempLock());
    using _guard = lock.acquireSync();
    const controller = new AbortController();
    let calls = 0;
    const onWait = () => {
      calls++;
      controller.abort(new Error('long enough'));
    };
    const waits = Array.from({ length: 10 }, () => lock.acquire({ signal: controller.signal, onWait }));
    const ends = await Promise.all(waits.map((wait) => wait.catch((error) => error.message)));
    expect(ends).toEqual(waits.map(() => 'long enough'));
    expect(calls).toBe(1);
  });

  test('may end its own wait', async () => {
    const file = tempLock();
    using _guard = new FileLock(file).acquireSync();
    const controller = new AbortController();
    const wait = new FileLock(file).acquire({
      signal: controller.signal,
      onWait: () => controller.abort(new Error('long enough')),
    });
    await expect(wait).rejects.toThrow('long enough');
  });

  test('throws an uncaught exception, and the wait goes on', async () => {
    const actor = await Actor.process();
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    const caught = actor.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      return new Promise<string>((resolve) => {
        process.once('uncaughtException', (error) => resolve(error.message));
        const onWait = () => {
          throw new Error('thrown by onWait');
        };
        Object.assign(globalThis, { wait: new FileLock(file).acquire({ onWait }) });
      });
    }, file);
    expect(await caught).toBe('thrown by onWait');
    guard.release();
    const held = await actor.run(
      async () => (await (globalThis as unknown as { wait: Promise<{ held: boolean }> }).wait).held,
    );
    expect(held).toBe(true);
  });
});
