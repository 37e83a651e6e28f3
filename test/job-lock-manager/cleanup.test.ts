import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type CleanupOptions, FileLock, type JobLockManager, type StaleLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { CommandContender, flockCommand, isInstalled } from '../support/command-contender.js';
import { abandon, indexLockFile, jobLockFile, managerOf, RecordingActor, tempManager } from '../support/jobs.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempDir } from '../support/temp-dir.js';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('Skipped: directories of other users. Only root can switch to another user.');

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Sets the modification time of a file to that long ago. */
function age(file: string, milliseconds: number): void {
  const then = (Date.now() - milliseconds) / 1000;
  utimesSync(file, then, then);
}

/** Creates a lock file that was last modified that long ago. */
function leaveLockFile(file: string, milliseconds: number): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '');
  age(file, milliseconds);
  return file;
}

const leaveJob = (manager: JobLockManager, jobId: string, milliseconds = DAY) =>
  leaveLockFile(jobLockFile(manager.jobsDirectory, jobId), milliseconds);

/** Cleans up and resolves with the jobs whose lock files were removed, sorted. */
async function cleaned(manager: JobLockManager, options?: CleanupOptions): Promise<(string | null)[]> {
  const removed = await manager.cleanupStaleLocks(options);
  return removed.map(({ jobId }) => jobId).sort();
}

describe('by age', () => {
  test('by default, lock files that were not modified for an hour are removed', async () => {
    const manager = tempManager();
    const old = leaveJob(manager, 'old', HOUR + 60_000);
    const young = leaveJob(manager, 'young', HOUR - 60_000);
    const future = leaveJob(manager, 'future', -DAY);
    expect(await manager.cleanupStaleLocks()).toEqual([
      { jobId: 'old', path: old, previousHolder: null, abandoned: false },
    ]);
    expect([old, young, future].map((file) => existsSync(file))).toEqual([false, true, true]);
  });

  test('a lock file of any year in the future is young', async () => {
    const manager = tempManager();
    const seconds = (year: number) => Date.UTC(year, 0, 1) / 1000;
    for (const year of [1971, 1999, 2030, 2262, 2400]) {
      utimesSync(leaveJob(manager, `${year}`), seconds(year), seconds(year));
    }
    expect(await cleaned(manager)).toEqual(['1971', '1999']);
  });

  test('maxAge sets the minimum age in milliseconds', async () => {
    const manager = tempManager();
    for (const minutes of [1, 10, 100]) leaveJob(manager, `${minutes}`, minutes * 60_000);
    expect(await cleaned(manager, { maxAge: Number.POSITIVE_INFINITY })).toEqual([]);
    expect(await cleaned(manager, { maxAge: Number.MAX_VALUE })).toEqual([]);
    expect(await cleaned(manager, { maxAge: 50.5 * 60_000 })).toEqual(['100']);
    expect(await cleaned(manager, { maxAge: 5 * 60_000 })).toEqual(['10']);
    expect(await cleaned(manager, { maxAge: 0 })).toEqual(['1']);
    expect(await cleaned(manager, { maxAge: 0 })).toEqual([]);
  });

  test('with maxAge 0, every lock file that is not held is removed, even the newest', async () => {
    const manager = tempManager();
    const ids = Array.from({ length: 20 }, (_, index) => `job-${index}`).sort();
    for (const id of ids) manager.lockJobDirectorySync(id).release();
    expect(await cleaned(manager, { maxAge: 0 })).toEqual(ids);
  });

  test('age counts from the last modification, which a recorded grant is', async () => {
    const manager = tempManager();
    const file = leaveJob(manager, 'job');
    manager.lockJobDirectorySync('job').release();
    expect(await cleaned(manager)).toEqual([]);
    expect(existsSync(file)).toBe(true);
  });

  test.each<[string, unknown]>([
    ['ERR_INVALID_ARG_VALUE', { maxAge: -1 }],
    ['ERR_INVALID_ARG_VALUE', { maxAge: Number.NaN }],
    ['ERR_INVALID_ARG_TYPE', { maxAge: '0' }],
    ['ERR_INVALID_ARG_TYPE', { maxAge: null }],
    ['ERR_INVALID_ARG_TYPE', { dryRun: 'yes' }],
    ['ERR_INVALID_ARG_TYPE', { signal: {} }],
    ['ERR_INVALID_ARG_TYPE', null],
    ['ERR_INVALID_ARG_TYPE', 0],
  ])('invalid options are rejected with %s, and nothing is removed: %j', async (code, options) => {
    const manager = tempManager();
    const file = leaveJob(manager, 'job');
    const cleaning = manager.cleanupStaleLocks(options as CleanupOptions);
    await expect(cleaning).rejects.toMatchObject({ name: 'TypeError', code });
    expect(existsSync(file)).toBe(true);
  });
});

describe('a held lock file is never touched, however old it is', () => {
  type Hold = (file: string, manager: JobLockManager) => Promise<() => unknown>;
  const HOLDERS: Record<string, Hold> = {
    'by this manager': async (_, manager) => {
      const guard = await manager.lockJobDirectory('job');
      return () => guard.release();
    },
    'by this manager, shared': async (_, manager) => {
      const guard = await manager.lockJobDirectory('job', { mode: 'shared' });
      return () => guard.release();
    },
    'by another manager of this process': async (_, manager) => {
      const guard = managerOf(manager.jobsDirectory).lockJobDirectorySync('job');
      return () => guard.release();
    },
    'by this process, with mechanism fcntl': async (file) => {
      const guard = new FileLock(file, { mechanism: 'fcntl' }).acquireSync();
      return () => guard.release();
    },
    'by this process, with mechanism fcntl, shared': async (file) => {
      const guard = new FileLock(file, { mechanism: 'fcntl' }).acquireSync({ mode: 'shared' });
      return () => guard.release();
    },
    'by another process': async (file) => {
      const holder = await RecordingActor.holding(file);
      return () => holder.release();
    },
    'by another process, shared': async (file) => {
      const holder = await RecordingActor.open(file);
      await holder.acquire('shared');
      return () => holder.release();
    },
    'by another process, with mechanism fcntl': async (file) => {
      const holder = await RecordingActor.holding(file, undefined, { mechanism: 'fcntl' });
      return () => holder.release();
    },
  };
  if (isInstalled('flock')) {
    HOLDERS['by flock(1)'] = async (file) => {
      const possession = await new CommandContender(flockCommand, file).acquire();
      return () => possession.release();
    };
  }

  test.each(Object.entries(HOLDERS))('%s', async (_, hold) => {
    const manager = tempManager();
    const file = leaveJob(manager, 'job');
    const release = await hold(file, manager);
    age(file, 1000 * DAY);
    const before = readFileSync(file, 'utf8');
    expect(await manager.cleanupStaleLocks({ maxAge: 0, dryRun: true })).toEqual([]);
    expect(await manager.cleanupStaleLocks({ maxAge: 0 })).toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe(before);
    await release();
    age(file, DAY);
    expect(await cleaned(manager)).toEqual(['job']);
  });

  test('nor is the lock file of the index', async () => {
    const manager = tempManager();
    const guard = await manager.lockJobsIndex();
    age(guard.path, DAY);
    expect(await manager.cleanupStaleLocks({ maxAge: 0 })).toEqual([]);
    guard.release();
    age(guard.path, DAY);
    expect(await manager.cleanupStaleLocks()).toEqual([
      { jobId: null, path: indexLockFile(manager.jobsDirectory), previousHolder: null, abandoned: false },
    ]);
    expect(readdirSync(manager.jobsDirectory)).toEqual([]);
  });
});

test('a waiter is granted the lock exclusively, even if clean-up has removed the file meanwhile', async () => {
  const manager = tempManager();
  const file = jobLockFile(manager.jobsDirectory, 'job');
  const holder = await RecordingActor.holding(file);
  const wait = manager.lockJobDirectory('job');
  await untilWaiting(file);
  const cleaner = managerOf(manager.jobsDirectory);
  const release = holder.release();
  const removed = await cleaner.cleanupStaleLocks({ maxAge: 0 });
  await release;
  const guard = await wait;
  expect(removed.length).toBeLessThanOrEqual(1);
  expect(guard.held).toBe(true);
  expect(existsSync(file)).toBe(true);
  expect(cleaner.tryLockJobDirectory('job')).toBeNull();
});

test('job directories, their other files and files beside them are kept', async () => {
  const manager = tempManager();
  const base = manager.jobsDirectory;
  leaveJob(manager, 'job');
  leaveJob(manager, 'only-a-lock');
  const others = [
    'job/data.json',
    'job/.lock.bak',
    'job/nested/.lock',
    'file',
    '.lock',
    '.hidden/.lock',
    'lock/.lockx',
  ];
  for (const each of others) leaveLockFile(path.join(base, each), DAY);
  expect(await cleaned(manager, { maxAge: 0 })).toEqual(['job', 'only-a-lock']);
  expect(others.filter((each) => !existsSync(path.join(base, each)))).toEqual([]);
  expect(readdirSync(path.join(base, 'only-a-lock'))).toEqual([]);
});

test('if the jobs directory does not exist there is nothing to clean up, and it is not created', async () => {
  const manager = tempManager();
  expect(await manager.cleanupStaleLocks({ maxAge: 0 })).toEqual([]);
  expect(existsSync(manager.jobsDirectory)).toBe(false);
});

test('a jobs directory that is a file is an error', async () => {
  const file = leaveLockFile(path.join(tempDir(), 'jobs'), DAY);
  await expect(managerOf(file).cleanupStaleLocks()).rejects.toMatchObject({ name: 'LockError', code: 'ENOTDIR' });
});

describe('a dry run', () => {
  test('removes nothing, and reports what would be removed', async () => {
    const manager = tempManager();
    const files = [
      leaveJob(manager, 'a'),
      leaveJob(manager, 'b'),
      leaveLockFile(indexLockFile(manager.jobsDirectory), DAY),
    ];
    leaveJob(manager, 'young', 0);
    const reported = await manager.cleanupStaleLocks({ dryRun: true });
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
    const removed = await manager.cleanupStaleLocks({ dryRun: false });
    const sorted = (locks: StaleLock[]) => [...locks].sort((a, b) => (a.path < b.path ? -1 : 1));
    expect(sorted(reported)).toEqual(sorted(removed));
    expect(removed.map(({ path }) => path).sort()).toEqual(files.sort());
    expect(files.filter((file) => existsSync(file))).toEqual([]);
  });

  test('leaves previousHolder of an abandoned lock to the next guard', async () => {
    const manager = tempManager();
    const pid = await abandon(jobLockFile(manager.jobsDirectory, 'job'));
    const dryRun = { maxAge: 0, dryRun: true };
    expect(await manager.cleanupStaleLocks(dryRun)).toMatchObject([{ abandoned: true, previousHolder: { pid } }]);
    expect((await manager.lockJobDirectory('job')).previousHolder).toMatchObject({ pid });
  });
});

test('an abandoned lock is reported by the clean-up that removes it, and not again', async () => {
  const manager = tempManager();
  const file = jobLockFile(manager.jobsDirectory, 'job');
  const [pid, indexPid] = [await abandon(file), await abandon(indexLockFile(manager.jobsDirectory))];
  manager.lockJobDirectorySync('released').release();
  const removed = await manager.cleanupStaleLocks({ maxAge: 0 });
  const abandonedBy = (holder: number) => ({
    abandoned: true,
    previousHolder: { pid: holder, running: false, thisProcess: false, acquiredAt: expect.any(Date) },
  });
  expect(removed).toHaveLength(3);
  const of = (jobId: string | null) => removed.find((each) => each.jobId === jobId);
  expect(of('job')).toMatchObject({ path: file, ...abandonedBy(pid) });
  expect(of(null)).toMatchObject(abandonedBy(indexPid));
  expect(of('released')).toMatchObject({ abandoned: false, previousHolder: null });
  expect((await manager.lockJobDirectory('job')).previousHolder).toBeNull();
  expect((await manager.lockJobsIndex()).previousHolder).toBeNull();
});

test('of several concurrent clean-ups, exactly one reports each lock', async () => {
  const manager = tempManager();
  const ids = Array.from({ length: 200 }, (_, index) => `job-${index}`).sort();
  for (const id of ids) leaveJob(manager, id);
  const cleanups = await Promise.all(Array.from({ length: 4 }, () => cleaned(manager)));
  expect(cleanups.flat().sort()).toEqual(ids);
});

describe('clean-up neither follows nor removes', () => {
  test('a job directory that is a symlink, even to another job', async () => {
    const manager = tempManager();
    const outside = leaveLockFile(path.join(tempDir(), 'victim', '.lock'), DAY);
    mkdirSync(manager.jobsDirectory);
    symlinkSync(path.dirname(outside), path.join(manager.jobsDirectory, 'link'));
    symlinkSync('nowhere', path.join(manager.jobsDirectory, 'dangling'));
    expect(await cleaned(manager, { maxAge: 0 })).toEqual([]);
    expect(existsSync(outside)).toBe(true);
  });

  test('a lock file that is a symlink', async () => {
    const manager = tempManager();
    const outside = leaveLockFile(path.join(tempDir(), 'victim'), DAY);
    for (const [link, target] of [
      [jobLockFile(manager.jobsDirectory, 'job'), outside],
      [indexLockFile(manager.jobsDirectory), outside],
      [jobLockFile(manager.jobsDirectory, 'dangling'), 'nowhere'],
    ] as const) {
      mkdirSync(path.dirname(link), { recursive: true });
      symlinkSync(target, link);
    }
    expect(await cleaned(manager, { maxAge: 0 })).toEqual([]);
    expect(existsSync(outside)).toBe(true);
    expect(readdirSync(path.join(manager.jobsDirectory, 'job'))).toEqual(['.lock']);
  });

  test('a FIFO or a directory in place of a lock file, and goes on with the rest', async () => {
    const manager = tempManager();
    const [fifo, directory] = ['a-fifo', 'b-directory'].map((id) => jobLockFile(manager.jobsDirectory, id)) as [
      string,
      string,
    ];
    mkdirSync(path.dirname(fifo), { recursive: true });
    mkdirSync(directory, { recursive: true });
    expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
    for (const each of [fifo, directory]) age(each, DAY);
    leaveJob(manager, 'c-job');
    expect(await cleaned(manager, { maxAge: 0 })).toEqual(['c-job']);
    expect([fifo, directory].map((each) => existsSync(each))).toEqual([true, true]);
  });

  test('a directory that is repeatedly swapped for a symlink during clean-up', async () => {
    const manager = tempManager();
    const outside = leaveLockFile(path.join(tempDir(), 'victim', '.lock'), DAY);
    const at = (name: string) => path.join(manager.jobsDirectory, name);
    leaveJob(manager, 'job');
    const swapper = await Actor.process();
    const swapping = swapper.run(
      (require, { job, link, aside }) => {
        const fs = require('node:fs') as typeof import('node:fs');
        let swaps = 0;
        for (const until = performance.now() + 1000; performance.now() < until; swaps++) {
          fs.renameSync(job, aside);
          fs.renameSync(link, job);
          fs.renameSync(job, link);
          fs.renameSync(aside, job);
        }
        return swaps;
      },
      // Between the swaps the symlink is outside the jobs directory.
      { job: at('job'), link: link(outside), aside: path.join(tempDir(), 'aside') },
    );
    let ended = false;
    void swapping.finally(() => {
      ended = true;
    });
    let rounds = 0;
    for (; !ended; rounds++) {
      await manager.cleanupStaleLocks({ maxAge: 0 });
      expect(existsSync(outside)).toBe(true);
    }
    expect(await swapping).toBeGreaterThan(0);
    expect(rounds).toBeGreaterThan(0);
  });

  function link(target: string): string {
    const at = path.join(tempDir(), 'link');
    symlinkSync(path.dirname(target), at);
    return at;
  }
});

test.skipIf(!isRoot)('lock files that may not be read or removed are kept, and the rest is cleaned up', async () => {
  const manager = tempManager();
  const base = manager.jobsDirectory;
  const OTHER_USER = 54323;
  for (const id of ['a', 'b-closed', 'c-unreadable', 'd-not-removable', 'e']) leaveJob(manager, id);
  chmodSync(path.dirname(base), 0o755);
  const chown = (...files: string[]) => expect(spawnSync('chown', ['-R', `${OTHER_USER}`, ...files]).status).toBe(0);
  chown(base);
  chmodSync(path.join(base, 'b-closed'), 0o000);
  chmodSync(jobLockFile(base, 'c-unreadable'), 0o000);
  chmodSync(path.join(base, 'd-not-removable'), 0o555);
  const through = ['setpriv', `--reuid=${OTHER_USER}`, '--regid=54323', '--clear-groups'];
  const otherUser = await Actor.process({ through });
  const removed = await otherUser.run(async (require, jobsDirectory) => {
    const { JobLockManager } = require('../..') as typeof import('../../lib/index.js');
    return new JobLockManager(jobsDirectory).cleanupStaleLocks({ maxAge: 0 });
  }, base);
  expect(removed.map(({ jobId }) => jobId).sort()).toEqual(['a', 'e']);
  expect(readdirSync(base).filter((id) => existsSync(jobLockFile(base, id)))).toEqual([
    'b-closed',
    'c-unreadable',
    'd-not-removable',
  ]);
});

describe('a signal', () => {
  test('that is already aborted prevents any removal', async () => {
    const manager = tempManager();
    const file = leaveJob(manager, 'job');
    const signal = AbortSignal.abort(new Error('mine'));
    await expect(manager.cleanupStaleLocks({ signal })).rejects.toBe(signal.reason);
    expect(existsSync(file)).toBe(true);
  });

  test('stops a clean-up midway, and the next clean-up removes the rest', async () => {
    const manager = tempManager();
    const ids = Array.from({ length: 5000 }, (_, index) => `job-${index}`);
    const files = ids.map((id) => leaveJob(manager, id));
    const controller = new AbortController();
    const outcome = manager.cleanupStaleLocks({ signal: controller.signal }).catch((reason: unknown) => reason);
    const samples = files.filter((_, index) => index % 25 === 0);
    while (samples.every((file) => existsSync(file))) await new Promise(setImmediate);
    controller.abort(new Error('mine'));
    expect(await outcome).toBe(controller.signal.reason);
    const left = files.filter((file) => existsSync(file));
    console.log(`aborted with ${left.length} of ${files.length} left`);
    expect(left.length).toBeGreaterThan(0);
    expect(left.length).toBeLessThan(files.length);
    expect(await cleaned(manager)).toHaveLength(left.length);
  });
});

test('the event loop stays responsive while 20,000 jobs are cleaned up', async () => {
  const JOBS = 20_000;
  const manager = tempManager();
  for (let index = 0; index < JOBS; index++) leaveJob(manager, `job-${index}`);
  let longest = 0;
  let ended = false;
  const watch = (async () => {
    for (let last = performance.now(); !ended; ) {
      await new Promise(setImmediate);
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }
  })();
  const from = performance.now();
  const removed = await manager.cleanupStaleLocks();
  const milliseconds = performance.now() - from;
  ended = true;
  await watch;
  const rate = JOBS / (milliseconds / 1000);
  console.log(`${rate.toFixed(0)} lock files a second, longest gap of the event loop ${longest.toFixed(1)} ms`);
  expect(removed).toHaveLength(JOBS);
  expect(longest).toBeLessThan(250); // generous: the machine has other work too
  renameSync(manager.jobsDirectory, `${manager.jobsDirectory}.done`);
  rmSync(`${manager.jobsDirectory}.done`, { recursive: true });
});

test('a directory that cannot be listed is a LockError, as any other failure', async () => {
  const actor = await Actor.process({ through: ['prlimit', '--nofile=64'] });
  const manager = tempManager();
  manager.tryLockJobDirectory('job')?.release();
  const failed = await actor.run(async (require, directory) => {
    const { JobLockManager } = require('../..') as typeof import('../../lib/index.js');
    const { closeSync, openSync } = require('node:fs') as typeof import('node:fs');
    const manager = new JobLockManager(directory);
    await manager.cleanupStaleLocks(); // loads what it needs
    const taken: number[] = [];
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    } catch {}
    closeSync(taken.pop() as number); // for the directory, and not for its entries
    const error = await manager.cleanupStaleLocks().catch((error) => error);
    for (const each of taken) closeSync(each);
    const { name, code, syscall, path } = error as import('../../lib/index.js').LockError;
    return { name, code, syscall, path };
  }, manager.jobsDirectory);
  expect(failed).toEqual({ name: 'LockError', code: 'EMFILE', syscall: 'opendir', path: manager.jobsDirectory });
});
