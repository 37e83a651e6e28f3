import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  FileLock,
  type JobLockGuard,
  JobLockManager,
  type JobLockManagerOptions,
  jobDirectoryLock,
  type LockGuard,
  LockTimeoutError,
  tryLockJobDirectory,
} from '../../lib/index.js';
import { expectBlocked } from '../support/blocked.js';
import { isFree } from '../support/is-free.js';
import { indexLockFile, jobLockFile, managerOf, RecordingActor, tempManager } from '../support/jobs.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempDir } from '../support/temp-dir.js';

const NO_WAIT = { timeout: 0 };

/** The error that a call throws or rejects with; fails if it does neither. */
async function failureOf(call: () => unknown): Promise<Error & { code?: string }> {
  try {
    await call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('the call did not fail');
}

describe('the lock files', () => {
  test("a job's lock file is .lock in its directory, which is created", () => {
    const manager = tempManager();
    const guard = manager.lockJobDirectorySync('job-1');
    expect(guard).toMatchObject({ jobId: 'job-1', path: jobLockFile(manager.jobsDirectory, 'job-1'), held: true });
    expect(isFree(guard.path)).toBe(false);
    expect(readdirSync(manager.jobsDirectory)).toEqual(['job-1']);
    expect(readdirSync(path.join(manager.jobsDirectory, 'job-1'))).toEqual(['.lock']);
  });

  test("the index's lock file is .jobs_index.lock in the jobs directory, which is created", async () => {
    const manager = tempManager();
    const guard = await manager.lockJobsIndex();
    expect(guard).toMatchObject({ path: indexLockFile(manager.jobsDirectory), held: true });
    expect(isFree(guard.path)).toBe(false);
    expect(readdirSync(manager.jobsDirectory)).toEqual(['.jobs_index.lock']);
  });

  test('jobsDirectory is an absolute path, and may be given as a file URL', () => {
    const directory = tempDir();
    const relative = path.relative(process.cwd(), directory);
    for (const each of [directory, relative, pathToFileURL(directory), `${directory}/`]) {
      expect(managerOf(each).jobsDirectory).toBe(directory);
    }
  });

  test('lock files are created with the permissions in fileMode', () => {
    const manager = tempManager({ fileMode: 0o640 });
    const { path: file } = manager.lockJobDirectorySync('job');
    expect(statSync(file).mode & 0o777).toBe(0o640 & ~process.umask());
  });

  test('locks on different jobs and on the index are independent', async () => {
    const manager = tempManager();
    const guards = [
      await manager.lockJobDirectory('a', NO_WAIT),
      await manager.lockJobDirectory('b', NO_WAIT),
      await manager.lockJobsIndex(NO_WAIT),
    ];
    expect(guards.map((guard) => guard.held)).toEqual([true, true, true]);
  });
});

describe('job ids', () => {
  const CALLS: Record<string, (manager: JobLockManager, id: string) => unknown> = {
    lockJobDirectory: (manager, id) => manager.lockJobDirectory(id),
    lockJobDirectorySync: (manager, id) => manager.lockJobDirectorySync(id),
    'the method tryLockJobDirectory': (manager, id) => manager.tryLockJobDirectory(id),
    unlockJobDirectory: (manager, id) => manager.unlockJobDirectory(id),
    isJobLocked: (manager, id) => manager.isJobLocked(id),
    jobLock: (manager, id) => manager.jobLock(id, () => {}),
    inspectJob: (manager, id) => manager.inspectJob(id),
    jobDirectoryLock: (manager, id) => jobDirectoryLock(id, manager.jobsDirectory, () => {}),
    'the function tryLockJobDirectory': (manager, id) => tryLockJobDirectory(id, manager.jobsDirectory),
  };
  const INVALID: Record<string, string> = {
    empty: '',
    '.': '.',
    '..': '..',
    'a/b': 'a/b',
    '../a': '../a',
    '/a': '/a',
    'a\\b': 'a\\b',
    'with NUL': 'a\0b',
    'beginning with a dot': '.hidden',
    'of 256 bytes': 'x'.repeat(256),
    'of 128 characters in 256 bytes': 'é'.repeat(128),
    'with a lone surrogate': 'a\ud800b',
    'with a lone low surrogate': 'a\udc00b',
  };
  const NOT_STRINGS: Record<string, unknown> = {
    undefined: undefined,
    null: null,
    'a number': 7,
    'a symbol': Symbol('job'),
    'an array': ['job'],
    'an object': { toString: () => 'job' },
    'an object without a prototype': Object.create(null),
  };

  describe.each(Object.keys(CALLS))('%s', (name) => {
    async function refusal(id: unknown) {
      const base = tempDir();
      const manager = managerOf(path.join(base, 'jobs'));
      const error = await failureOf(() => CALLS[name]?.(manager, id as string));
      expect(readdirSync(base)).toEqual([]);
      return error;
    }

    test.each(Object.entries(INVALID))('refuses an id that is not a single path segment: %s', async (_, id) => {
      const error = await refusal(id);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE');
    });

    test.each(Object.entries(NOT_STRINGS))('refuses an id that is not a string: %s', async (_, id) => {
      const error = await refusal(id);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_ARG_TYPE');
    });
  });

  test.each([
    '__proto__',
    'constructor',
    'toString',
    'with spaces ',
    'a.b..',
    '-rf',
    '日本語 🔒 é',
    'quo\'te"$(x)\n',
    'x'.repeat(255),
    `x${'é'.repeat(127)}`,
  ])('may be any other name: %j', async (id) => {
    const manager = tempManager();
    expect(manager.isJobLocked(id)).toBe(false);
    expect(manager.unlockJobDirectory(id)).toBe(false);
    const guard = await manager.lockJobDirectory(id);
    expect(guard.jobId).toBe(id);
    expect(readdirSync(manager.jobsDirectory)).toEqual([id]);
    expect(manager.isJobLocked(id)).toBe(true);
    expect(manager.getLockStatus()).toEqual({ activeLocks: [id], lockCount: 1 });
    expect(manager.inspectJob(id).path).toBe(jobLockFile(manager.jobsDirectory, id));
    expect(manager.unlockJobDirectory(id)).toBe(true);
    expect(guard.held).toBe(false);
    const [stale] = await manager.cleanupStaleLocks({ maxAge: 0 });
    expect(stale?.jobId).toBe(id);
  });
});

describe('invalid arguments', () => {
  const TYPE = 'ERR_INVALID_ARG_TYPE';
  const VALUE = 'ERR_INVALID_ARG_VALUE';

  test.each<[string, string, unknown, unknown]>([
    ['no path', TYPE, undefined, undefined],
    ['a number for a path', TYPE, 7, undefined],
    ['an empty path', VALUE, '', undefined],
    ['a path with NUL', VALUE, 'a\0b', undefined],
    ['null for options', TYPE, 'jobs', null],
    ['a string for options', TYPE, 'jobs', 'flock'],
    ['timeout: a string', TYPE, 'jobs', { timeout: '1' }],
    ['timeout: -1', VALUE, 'jobs', { timeout: -1 }],
    ['timeout: NaN', VALUE, 'jobs', { timeout: Number.NaN }],
    ['an unknown mechanism', VALUE, 'jobs', { mechanism: 'lockf' }],
    ['fileMode: a string', TYPE, 'jobs', { fileMode: '0600' }],
    ['fileMode: -1', VALUE, 'jobs', { fileMode: -1 }],
    ['fileMode: 0o10000', VALUE, 'jobs', { fileMode: 0o10000 }],
    ['recordHolder: 1', TYPE, 'jobs', { recordHolder: 1 }],
  ])('the constructor refuses %s', async (_, code, directory, options) => {
    const error = await failureOf(() => new JobLockManager(directory as string, options as JobLockManagerOptions));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe(code);
  });

  const BAD_OPTIONS: Record<string, [string, unknown]> = {
    null: [TYPE, null],
    'a number': [TYPE, 5],
    'an unknown mode': [VALUE, { mode: 'write' }],
    'timeout: -1': [VALUE, { timeout: -1 }],
    'timeout: NaN': [VALUE, { timeout: Number.NaN }],
    'timeout: a bigint': [TYPE, { timeout: 1n }],
    'a signal that is none': [TYPE, { signal: {} }],
  };
  type Wait = (manager: JobLockManager, options: never) => Promise<unknown>;
  const WAITS: Record<string, Wait> = {
    lockJobDirectory: (manager, options) => manager.lockJobDirectory('job', options),
    jobLock: (manager, options) => manager.jobLock('job', () => {}, options),
    lockJobsIndex: (manager, options) => manager.lockJobsIndex(options),
    jobsIndexLock: (manager, options) => manager.jobsIndexLock(() => {}, options),
    jobDirectoryLock: (manager, options) => jobDirectoryLock('job', manager.jobsDirectory, () => {}, options),
    tryLockJobDirectory: (manager, options) => tryLockJobDirectory('job', manager.jobsDirectory, options),
  };
  const WAIT_CASES = Object.keys(WAITS).flatMap((name) => Object.keys(BAD_OPTIONS).map((bad) => ({ name, bad })));

  test.each(WAIT_CASES)('$name rejects, without throwing, options: $bad', async ({ name, bad }) => {
    const manager = tempManager();
    const [code, options] = BAD_OPTIONS[bad] ?? [];
    const rejection = (WAITS[name] as Wait)(manager, options as never);
    await expect(rejection).rejects.toMatchObject({ name: 'TypeError', code });
    expect(existsSync(manager.jobsDirectory)).toBe(false);
  });

  test('an fn that is not a function is refused before anything is locked', async () => {
    const manager = tempManager();
    const notAFunction = 'fn' as unknown as () => void;
    const calls = [
      manager.jobLock('job', notAFunction),
      manager.jobsIndexLock(notAFunction),
      jobDirectoryLock('job', manager.jobsDirectory, notAFunction),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ name: 'TypeError', code: TYPE });
    expect(existsSync(manager.jobsDirectory)).toBe(false);
  });

  test('options that cannot be honoured are refused: a signal for sync methods, a timeout for tries', () => {
    const manager = tempManager();
    const signal = new AbortController().signal as never;
    const refused = expect.objectContaining({ name: 'TypeError', code: VALUE });
    expect(() => manager.lockJobDirectorySync('job', { signal })).toThrow(refused);
    expect(() => manager.tryLockJobDirectory('job', { signal })).toThrow(refused);
    expect(() => manager.tryLockJobDirectory('job', { timeout: 5 as never })).toThrow(refused);
    expect(existsSync(manager.jobsDirectory)).toBe(false);
  });
});

describe('exclusion', () => {
  const KINDS: Record<string, (manager: JobLockManager) => Promise<LockGuard>> = {
    'a job': (manager) => manager.lockJobDirectory('job'),
    'the index': (manager) => manager.lockJobsIndex(),
  };

  test.each(Object.entries(KINDS))(
    'tasks of one process that lock %s are granted one at a time, in FIFO order',
    async (_, lock) => {
      const manager = tempManager();
      const managers = [manager, manager, managerOf(manager.jobsDirectory)];
      const log: string[] = [];
      const tasks = Array.from({ length: 12 }, async (_, index) => {
        const guard = await lock(managers[index % managers.length] as JobLockManager);
        log.push(`+${index}`);
        await new Promise(setImmediate);
        log.push(`-${index}`);
        guard.release();
      });
      await Promise.all(tasks);
      expect(log).toEqual(tasks.flatMap((_, index) => [`+${index}`, `-${index}`]));
    },
  );

  test('a held job has no second holder until it is released', async () => {
    const manager = tempManager();
    const first = await manager.lockJobDirectory('job');
    const second = manager.lockJobDirectory('job');
    await expectBlocked(second);
    expect(manager.tryLockJobDirectory('job')).toBeNull();
    await expect(manager.lockJobDirectory('job', NO_WAIT)).rejects.toBeInstanceOf(LockTimeoutError);
    first.release();
    expect((await second).held).toBe(true);
  });

  test('shared guards of a job coexist, exclude exclusive ones, and are counted one by one', async () => {
    const manager = tempManager();
    const shared = { mode: 'shared' } as const;
    const guards = [
      await manager.lockJobDirectory('job', shared),
      manager.lockJobDirectorySync('job', shared),
      manager.tryLockJobDirectory('job', shared),
    ];
    expect(guards.map((guard) => guard?.mode)).toEqual(['shared', 'shared', 'shared']);
    expect(manager.getLockStatus()).toEqual({ activeLocks: ['job'], lockCount: 3 });
    expect(manager.tryLockJobDirectory('job')).toBeNull();
    guards.pop()?.release();
    expect(manager.isJobLocked('job')).toBe(true);
    expect(manager.unlockJobDirectory('job')).toBe(true);
    expect(guards.map((guard) => guard?.held)).toEqual([false, false]);
    expect(manager.tryLockJobDirectory('job')?.held).toBe(true);
  });

  test('lockJobDirectorySync waits for another process, and fails with EDEADLK for its own thread', async () => {
    const manager = tempManager();
    const file = jobLockFile(manager.jobsDirectory, 'job');
    const holder = await RecordingActor.holding(file);
    void holder.actor.call('releaseWhenAwaited', { guard: 'held', path: file });
    const guard = manager.lockJobDirectorySync('job');
    expect(guard.held).toBe(true);
    expect(() => manager.lockJobDirectorySync('job')).toThrow(expect.objectContaining({ code: 'EDEADLK' }));
  });

  test('the mechanism option is used', () => {
    const flock = tempManager();
    const fcntl = managerOf(flock.jobsDirectory, { mechanism: 'fcntl' });
    fcntl.lockJobDirectorySync('job');
    expect(new FileLock(jobLockFile(flock.jobsDirectory, 'job'), { mechanism: 'fcntl' }).tryAcquire()).toBeNull();
    expect(fcntl.tryLockJobDirectory('job')).toBeNull();
  });

  test("the manager's timeout is the default of its calls", async () => {
    const manager = tempManager({ timeout: 1 });
    using _held = managerOf(manager.jobsDirectory).lockJobDirectorySync('job');
    await expect(manager.lockJobDirectory('job')).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT', timeout: 1 });
    await expect(manager.lockJobDirectory('job', NO_WAIT)).rejects.toMatchObject({ timeout: 0 });
  });
});

describe('what a manager holds', () => {
  test('is reported and unlocked by this manager only', async () => {
    const manager = tempManager();
    const other = managerOf(manager.jobsDirectory);
    expect(manager.getLockStatus()).toEqual({ activeLocks: [], lockCount: 0 });
    expect(manager.isJobLocked('a')).toBe(false);
    expect(manager.unlockJobDirectory('a')).toBe(false);

    const guard = await manager.lockJobDirectory('a');
    manager.lockJobDirectorySync('b');
    await manager.lockJobsIndex();
    expect(manager.getLockStatus()).toEqual({ activeLocks: ['a', 'b'], lockCount: 2 });
    expect([manager.isJobLocked('a'), other.isJobLocked('a')]).toEqual([true, false]);
    expect(other.unlockJobDirectory('a')).toBe(false);
    expect(guard.held).toBe(true);

    expect(manager.unlockJobDirectory('a')).toBe(true);
    expect(guard.held).toBe(false);
    expect(manager.unlockJobDirectory('a')).toBe(false);
    expect(manager.getLockStatus()).toEqual({ activeLocks: ['b'], lockCount: 1 });
    expect(other.tryLockJobDirectory('a')?.held).toBe(true);
  });

  test.each<[string, (guard: JobLockGuard) => unknown]>([
    ['release()', (guard) => guard.release()],
    ['Symbol.dispose', (guard) => guard[Symbol.dispose]()],
    ['Symbol.asyncDispose', (guard) => guard[Symbol.asyncDispose]()],
  ])('%s of the guard releases it, and a second call does not affect the next holder', async (_, end) => {
    const manager = tempManager();
    const guard = await manager.lockJobDirectory('job');
    await end(guard);
    expect(guard.held).toBe(false);
    expect(manager.isJobLocked('job')).toBe(false);
    const next = await manager.lockJobDirectory('job', NO_WAIT);
    await end(guard);
    expect(next.held).toBe(true);
    expect(manager.getLockStatus()).toEqual({ activeLocks: ['job'], lockCount: 1 });
    expect(isFree(next.path)).toBe(false);
  });

  test('inspectJob sees all processes, and neither locks nor creates anything', async () => {
    const manager = tempManager();
    const file = jobLockFile(manager.jobsDirectory, 'job');
    expect(manager.inspectJob('job')).toEqual({
      path: file,
      state: 'missing',
      mode: null,
      holder: null,
      holders: [],
      waiting: 0,
      abandoned: false,
    });
    expect(existsSync(manager.jobsDirectory)).toBe(false);
    const holder = await RecordingActor.holding(file);
    expect(manager.inspectJob('job')).toMatchObject({
      state: 'held',
      holder: { pid: holder.pid, running: true, thisProcess: false, acquiredAt: expect.any(Date) },
      abandoned: false,
    });
    expect(manager.isJobLocked('job')).toBe(false);
  });

  test('500 jobs can be held at once, and are all released by close()', async () => {
    const manager = tempManager();
    const ids = Array.from({ length: 500 }, (_, index) => `job-${index}`);
    const guards = await Promise.all(ids.map((id) => manager.lockJobDirectory(id)));
    expect(manager.getLockStatus()).toEqual({ activeLocks: ids, lockCount: 500 });
    expect(ids.filter((id) => managerOf(manager.jobsDirectory).tryLockJobDirectory(id) !== null)).toEqual([]);
    manager.close();
    expect(guards.filter((guard) => guard.held)).toEqual([]);
    expect(manager.getLockStatus()).toEqual({ activeLocks: [], lockCount: 0 });
    expect(ids.filter((id) => !isFree(jobLockFile(manager.jobsDirectory, id)))).toEqual([]);
  });
});

describe('the scoped forms', () => {
  type Scoped = <T>(manager: JobLockManager, fn: (guard: LockGuard) => T | PromiseLike<T>) => Promise<T>;
  const FORMS: [string, Scoped, (base: string) => string][] = [
    ['jobLock', (manager, fn) => manager.jobLock('job', fn), (base) => jobLockFile(base, 'job')],
    ['jobsIndexLock', (manager, fn) => manager.jobsIndexLock(fn), indexLockFile],
    [
      'jobDirectoryLock',
      (manager, fn) => jobDirectoryLock('job', manager.jobsDirectory, fn),
      (base) => jobLockFile(base, 'job'),
    ],
  ];

  test.each(FORMS)('%s holds the lock while the function runs, and returns its result', async (_, run, fileOf) => {
    const manager = tempManager();
    const file = fileOf(manager.jobsDirectory);
    for (const fn of [() => 42, async () => 42]) {
      let inside: LockGuard | undefined;
      const result = await run(manager, (guard) => {
        inside = guard;
        expect(guard).toMatchObject({ held: true, path: file, mode: 'exclusive' });
        expect(isFree(file)).toBe(false);
        return fn();
      });
      expect(result).toBe(42);
      expect(inside?.held).toBe(false);
      expect(isFree(file)).toBe(true);
    }
  });

  test.each(FORMS)(
    '%s releases when the function throws or rejects, and rejects with the same error',
    async (_, run, fileOf) => {
      const manager = tempManager();
      const failure = new Error('mine');
      const throws = () => {
        throw failure;
      };
      for (const fn of [throws, async () => throws()]) {
        await expect(run(manager, fn)).rejects.toBe(failure);
        expect(isFree(fileOf(manager.jobsDirectory))).toBe(true);
        expect(manager.getLockStatus().lockCount).toBe(0);
      }
    },
  );

  test.each(FORMS)('%s allows the function to release early', async (_, run, fileOf) => {
    const manager = tempManager();
    const file = fileOf(manager.jobsDirectory);
    const freeInside = await run(manager, (guard) => {
      guard.release();
      return isFree(file);
    });
    expect(freeInside).toBe(true);
  });
});

describe('the function tryLockJobDirectory', () => {
  test('resolves with the guard of a free job, and with null for a held one', async () => {
    const base = path.join(tempDir(), 'jobs');
    const guard = await tryLockJobDirectory('job', base);
    expect(guard).toMatchObject({ jobId: 'job', held: true, path: jobLockFile(base, 'job') });
    expect(await tryLockJobDirectory('job', base)).toBeNull();
    expect(await tryLockJobDirectory('job', base, { timeout: 1 })).toBeNull();
    guard?.release();
    const next = await tryLockJobDirectory('job', base);
    expect(next?.held).toBe(true);
    next?.release();
  });

  test('waits for as long as its timeout says', async () => {
    const manager = tempManager();
    const held = await manager.lockJobDirectory('job');
    const waiting = tryLockJobDirectory('job', manager.jobsDirectory, { timeout: Number.POSITIVE_INFINITY });
    await expectBlocked(waiting);
    held.release();
    using guard = await waiting;
    expect(guard?.held).toBe(true);
  });

  test('rejects with every error other than contention', async () => {
    const base = tempDir();
    await expect(tryLockJobDirectory('job', '/dev/null/jobs')).rejects.toMatchObject({
      name: 'LockError',
      code: 'ENOTDIR',
    });
    const reason = new Error('aborted');
    await expect(tryLockJobDirectory('job', base, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(readdirSync(base)).toEqual([]);
  });
});

describe('close()', () => {
  test('releases everything, rejects pending waits and later calls, and is idempotent', async () => {
    const manager = tempManager();
    const file = jobLockFile(manager.jobsDirectory, 'busy');
    await RecordingActor.holding(file);
    const guards = [await manager.lockJobDirectory('a'), await manager.lockJobsIndex()];
    const waits = [
      manager.lockJobDirectory('busy'), // in the kernel
      manager.lockJobDirectory('busy'), // behind it
      manager.lockJobDirectory('a'), // behind a guard of this thread
      manager.lockJobsIndex(),
      manager.jobLock('busy', () => expect.unreachable('the lock was never granted')),
    ];
    const closed = { name: 'LockError', code: 'ERR_LOCK_CLOSED', path: manager.jobsDirectory };
    const rejections = waits.map((wait) => expect(wait).rejects.toMatchObject(closed));
    await untilWaiting(file);

    manager.close();
    await Promise.all(rejections);
    manager.close();
    expect(guards.map((guard) => guard.held)).toEqual([false, false]);
    expect(manager.getLockStatus()).toEqual({ activeLocks: [], lockCount: 0 });
    expect(guards.map((guard) => isFree(guard.path))).toEqual([true, true]);

    for (const later of [
      () => manager.lockJobDirectory('new'),
      () => manager.jobLock('new', () => {}),
      () => manager.lockJobsIndex(),
      () => manager.jobsIndexLock(() => {}),
      () => manager.cleanupStaleLocks({ maxAge: 0 }),
    ]) {
      await expect(later()).rejects.toMatchObject(closed);
    }
    const refused = expect.objectContaining(closed);
    expect(() => manager.lockJobDirectorySync('new')).toThrow(refused);
    expect(() => manager.tryLockJobDirectory('new')).toThrow(refused);
    expect(existsSync(path.join(manager.jobsDirectory, 'new'))).toBe(false);
    expect(existsSync(guards[0]?.path ?? '')).toBe(true); // nothing was cleaned up
  });

  test('a manager is disposable', () => {
    const manager = tempManager();
    {
      using scoped = manager;
      scoped.lockJobDirectorySync('job');
    }
    expect(isFree(jobLockFile(manager.jobsDirectory, 'job'))).toBe(true);
    expect(() => manager.tryLockJobDirectory('job')).toThrow(expect.objectContaining({ code: 'ERR_LOCK_CLOSED' }));
  });

  test('leaves nothing held, at whatever moment of an acquisition it is called', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const manager = tempManager();
      const acquisitions = Promise.allSettled([manager.lockJobDirectory('job'), manager.lockJobsIndex()]);
      for (let turn = 0; turn < turns; turn++) await null;
      manager.close();
      for (const outcome of await acquisitions) {
        if (outcome.status === 'fulfilled') expect(outcome.value.held, `after ${turns} turns`).toBe(false);
        else expect(outcome.reason).toMatchObject({ code: 'ERR_LOCK_CLOSED' });
      }
      expect(manager.getLockStatus().lockCount, `after ${turns} turns`).toBe(0);
      expect(isFree(jobLockFile(manager.jobsDirectory, 'job')), `job, after ${turns} turns`).toBe(true);
      expect(isFree(indexLockFile(manager.jobsDirectory)), `index, after ${turns} turns`).toBe(true);
    }
  });

  test('does not affect the guards and waits of other managers', async () => {
    const manager = tempManager();
    const other = managerOf(manager.jobsDirectory);
    const guard = await other.lockJobDirectory('job');
    const mine = expect(manager.lockJobDirectory('job')).rejects.toMatchObject({ code: 'ERR_LOCK_CLOSED' });
    const theirs = other.lockJobDirectory('job');
    manager.close();
    await mine;
    expect(guard.held).toBe(true);
    guard.release();
    expect((await theirs).held).toBe(true);
  });
});

describe('a signal', () => {
  test('rejects a wait with its reason, whatever that is', async () => {
    const manager = tempManager();
    const held = [await manager.lockJobDirectory('job'), await manager.lockJobsIndex()];
    for (const reason of [new Error('mine'), 'a string', undefined]) {
      const controller = new AbortController();
      const { signal } = controller;
      const waits = [manager.lockJobDirectory('job', { signal }), manager.lockJobsIndex({ signal })];
      const rejections = waits.map((wait) => wait.catch((error: unknown) => error));
      controller.abort(reason);
      for (const rejection of rejections) expect(await rejection).toBe(signal.reason);
    }
    for (const guard of held) guard.release();
    expect(isFree(jobLockFile(manager.jobsDirectory, 'job'))).toBe(true);
    expect(isFree(indexLockFile(manager.jobsDirectory))).toBe(true);
  });

  test('that is already aborted touches nothing', async () => {
    const manager = tempManager();
    const signal = AbortSignal.abort(new Error('mine'));
    await expect(manager.lockJobDirectory('job', { signal })).rejects.toBe(signal.reason);
    await expect(manager.lockJobsIndex({ signal })).rejects.toBe(signal.reason);
    expect(existsSync(manager.jobsDirectory)).toBe(false);
  });

  test('keeps no listener after the grant, and an abort then has no effect', async () => {
    const manager = tempManager();
    const controller = new AbortController();
    const counts = { added: 0, removed: 0 };
    const { signal } = controller;
    const spied = Object.assign(signal, {
      addEventListener(...args: Parameters<AbortSignal['addEventListener']>) {
        counts.added++;
        AbortSignal.prototype.addEventListener.apply(signal, args);
      },
      removeEventListener(...args: Parameters<AbortSignal['removeEventListener']>) {
        counts.removed++;
        AbortSignal.prototype.removeEventListener.apply(signal, args);
      },
    });
    const guard = await manager.lockJobDirectory('job', { signal: spied });
    expect(counts.removed).toBe(counts.added);
    controller.abort();
    expect(guard.held).toBe(true);
  });
});

test('a waiter never recreates a deleted job directory', async () => {
  const manager = tempManager();
  const file = jobLockFile(manager.jobsDirectory, 'job');
  const holder = await RecordingActor.holding(file);
  const waits = [manager.lockJobDirectory('job'), manager.lockJobDirectory('job')].map((wait) =>
    expect(wait).rejects.toMatchObject({ name: 'LockError', code: 'ENOENT' }),
  );
  await untilWaiting(file);
  rmSync(path.dirname(file), { recursive: true });
  await holder.release();
  await Promise.all(waits);
  expect(readdirSync(manager.jobsDirectory)).toEqual([]);
  // A new acquisition does.
  expect((await manager.lockJobDirectory('job')).held).toBe(true);
});
