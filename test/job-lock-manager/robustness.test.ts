import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  type AcquireOptions,
  FileLock,
  type JobLockManager,
  jobDirectoryLock,
  type LockGuard,
  tryLockJobDirectory,
} from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { abandon, indexLockFile, jobLockFile, managerOf, tempManager } from '../support/jobs.js';

interface Kind {
  file: (jobsDirectory: string) => string;
  lock: (manager: JobLockManager) => Promise<LockGuard>;
  run: (manager: JobLockManager, fn: (guard: LockGuard) => boolean) => Promise<boolean>;
}
const KINDS: Record<string, Kind> = {
  'a job': {
    file: (jobsDirectory) => jobLockFile(jobsDirectory, 'job'),
    lock: (manager) => manager.lockJobDirectory('job'),
    run: (manager, fn) => manager.jobLock('job', fn),
  },
  'the index': {
    file: indexLockFile,
    lock: (manager) => manager.lockJobsIndex(),
    run: (manager, fn) => manager.jobsIndexLock(fn),
  },
};

describe.each(Object.entries(KINDS))('a manager that is closed between the grant and the delivery of %s', (_, kind) => {
  /** A factory of managers, each with one lock that a killed process abandoned. */
  async function abandoned(): Promise<{ pid: number; makeManager: () => { manager: JobLockManager; file: string } }> {
    const original = kind.file(tempManager().jobsDirectory);
    const pid = await abandon(original);
    const record = readFileSync(original);
    const makeManager = () => {
      const manager = tempManager();
      const file = kind.file(manager.jobsDirectory);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, record);
      return { manager, file };
    };
    return { pid, makeManager };
  }

  /** Everything is as if the lock had not been granted. */
  async function expectWithdrawn(manager: JobLockManager, pid: number): Promise<void> {
    expect(manager.getLockStatus()).toEqual({ activeLocks: [], lockCount: 0 });
    const next = await kind.lock(managerOf(manager.jobsDirectory));
    expect([next.held, next.previousHolder?.pid]).toEqual([true, pid]);
  }

  test('rejects, holds nothing, and leaves previousHolder to the next guard', async () => {
    const { pid, makeManager } = await abandoned();
    const { manager } = makeManager();
    const wait = kind.lock(manager);
    manager.close();
    await expect(wait).rejects.toMatchObject({ code: 'ERR_LOCK_CLOSED' });
    await expectWithdrawn(manager, pid);
  });

  test('does so for a waiter too', async () => {
    const { pid, makeManager } = await abandoned();
    const { manager, file } = makeManager();
    const guard = new FileLock(file).acquireSync(); // writes no record
    const wait = kind.lock(manager);
    await nextTurn();
    guard.release();
    manager.close();
    await expect(wait).rejects.toMatchObject({ code: 'ERR_LOCK_CLOSED' });
    await expectWithdrawn(manager, pid);
  });

  const MICROTASKS = Array.from({ length: 12 }, (_, index) => index);

  test('rejects at every moment before the promise is resolved', async () => {
    const { pid, makeManager } = await abandoned();
    const seen: unknown[] = [];
    const expected: unknown[] = [];
    let early = 0;
    let between = 0;
    for (const microtasks of MICROTASKS) {
      const { manager } = makeManager();
      let outcome: unknown;
      const settled = kind.lock(manager).then(
        ({ held }) => {
          outcome = held ? 'a held guard' : 'a guard that is not held';
        },
        ({ code }) => {
          outcome = code;
        },
      );
      for (let count = 0; count < microtasks; count++) await null;
      const delivered = outcome !== undefined;
      manager.close();
      await settled;
      const next = await kind.lock(managerOf(manager.jobsDirectory));
      if (outcome === 'a guard that is not held') {
        between++; // its promise was already resolved when the manager was closed
        continue;
      }
      seen.push({ microtasks, outcome, previousPid: next.previousHolder?.pid });
      expected.push({
        microtasks,
        outcome: delivered ? 'a held guard' : 'ERR_LOCK_CLOSED',
        previousPid: delivered ? undefined : pid,
      });
      if (!delivered) early++;
    }
    expect(seen).toEqual(expected);
    expect(early).toBeLessThan(MICROTASKS.length); // the last ones were closed after the delivery
    expect(between).toBeLessThanOrEqual(1);
  });

  test('never runs the function without the lock, whenever it is closed', async () => {
    const { pid, makeManager } = await abandoned();
    const seen: unknown[] = [];
    const expected: unknown[] = [];
    let early = 0;
    for (const microtasks of MICROTASKS) {
      const { manager } = makeManager();
      let ran: string | undefined;
      const settled = kind
        .run(manager, ({ held }) => {
          ran = held ? 'with the lock' : 'without the lock';
          return held;
        })
        .catch(({ code }) => code as string);
      for (let count = 0; count < microtasks; count++) await null;
      const delivered = ran !== undefined;
      manager.close();
      const outcome = await settled;
      const next = await kind.lock(managerOf(manager.jobsDirectory));
      seen.push({ microtasks, ran, outcome, previousPid: next.previousHolder?.pid });
      expected.push(
        delivered
          ? { microtasks, ran: 'with the lock', outcome: true, previousPid: undefined }
          : { microtasks, ran: undefined, outcome: 'ERR_LOCK_CLOSED', previousPid: pid },
      );
      if (!delivered) early++;
    }
    expect(seen).toEqual(expected);
    expect(early).toBeLessThan(MICROTASKS.length);
  });
});

describe('options that are getters of a class are read', () => {
  class Options {
    get timeout(): number {
      return 50;
    }
    get mode(): 'shared' {
      return 'shared';
    }
  }
  type Call = (manager: JobLockManager, options: AcquireOptions) => Promise<LockGuard | null>;
  /** Resolves with the guard that `use` receives. */
  const scoped = async (use: (fn: (guard: LockGuard) => void) => Promise<void>) => {
    let inside: LockGuard | null = null;
    await use((guard) => {
      inside = guard;
    });
    return inside;
  };
  const WAITS: Record<string, Call> = {
    lockJobDirectory: (manager, options) => manager.lockJobDirectory('job', options),
    jobLock: (manager, options) => scoped((fn) => manager.jobLock('job', fn, options)),
    lockJobsIndex: (manager, options) => manager.lockJobsIndex(options),
    jobsIndexLock: (manager, options) => scoped((fn) => manager.jobsIndexLock(fn, options)),
    'the function jobDirectoryLock': (manager, options) =>
      scoped((fn) => jobDirectoryLock('job', manager.jobsDirectory, fn, options)),
  };
  const tryLock: Call = (manager, options) => tryLockJobDirectory('job', manager.jobsDirectory, options);

  test.each(Object.entries(WAITS))('timeout by %s', async (_, call) => {
    const manager = tempManager();
    manager.lockJobDirectorySync('job');
    await manager.lockJobsIndex();
    const wait = call(managerOf(manager.jobsDirectory), new Options());
    await expect(wait).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT', timeout: 50 });
  });

  test('timeout by the function tryLockJobDirectory', async () => {
    const manager = tempManager();
    const guard = manager.lockJobDirectorySync('job');
    expect(await tryLock(manager, new Options())).toBeNull();
    class Patient {
      get timeout(): number {
        return Number.POSITIVE_INFINITY;
      }
    }
    const wait = tryLock(manager, new Patient());
    await nextTurn();
    guard.release();
    const next = await wait;
    expect(next?.held).toBe(true);
    next?.release();
  });

  test.each([...Object.entries(WAITS), ['the function tryLockJobDirectory', tryLock] as const])(
    'mode by %s',
    async (_, call) => {
      const guard = await call(tempManager(), new Options());
      expect(guard?.mode).toBe('shared');
      guard?.release();
    },
  );
});

describe('clean-up with a signal that lacks throwIfAborted, as from another realm', () => {
  const signalOf = (aborted: boolean, reason?: unknown) =>
    ({ aborted, reason, addEventListener() {}, removeEventListener() {} }) as unknown as AbortSignal;

  test('removes lock files', async () => {
    const manager = tempManager();
    manager.lockJobDirectorySync('job').release();
    const stale = await manager.cleanupStaleLocks({ maxAge: 0, signal: signalOf(false) });
    expect(stale.map(({ jobId }) => jobId)).toEqual(['job']);
  });

  test('rejects with its reason if it is aborted', async () => {
    const manager = tempManager();
    const guard = manager.lockJobDirectorySync('job');
    guard.release();
    const reason = new Error('mine');
    await expect(manager.cleanupStaleLocks({ maxAge: 0, signal: signalOf(true, reason) })).rejects.toBe(reason);
    expect(readFileSync(guard.path).length).toBeGreaterThan(0);
  });
});

test('a signal shared by many waits causes no warning and keeps no listener', async () => {
  const manager = tempManager();
  manager.lockJobDirectorySync('job');
  const actor = await Actor.process();
  const { warnings, ends, during, after } = await actor.run(async (require, jobsDirectory) => {
    const { JobLockManager } = require('../..') as typeof import('../../lib/index.js');
    const { getEventListeners } = require('node:events') as typeof import('node:events');
    const warnings: string[] = [];
    process.on('warning', ({ name }) => warnings.push(name));
    const manager = new JobLockManager(jobsDirectory);
    const { signal, abort } = (() => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: (reason: string) => controller.abort(reason) };
    })();
    const waits = Array.from({ length: 50 }, () => manager.lockJobDirectory('job', { signal }));
    await new Promise(setImmediate);
    const during = getEventListeners(signal, 'abort').length;
    abort('stopped');
    const ends = await Promise.all(waits.map((each) => each.then(() => 'granted', String)));
    await new Promise(setImmediate);
    return { warnings, ends, during, after: getEventListeners(signal, 'abort').length };
  }, manager.jobsDirectory);
  expect(warnings).toEqual([]);
  expect(ends).toEqual(Array(50).fill('stopped'));
  expect([during, after]).toEqual([1, 0]);
});
