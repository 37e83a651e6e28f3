// Misuse is marked with @ts-expect-error instead of tsd's expectError, so that tsc can check this file too.
import { expectAssignable, expectNotAssignable, expectType } from 'tsd';
import {
  type AcquireOptions,
  type AcquireSyncOptions,
  FileLock,
  type FileLockOptions,
  type JobLockGuard,
  JobLockManager,
  type JobLockManagerOptions,
  jobDirectoryLock,
  LockError,
  type LockGuard,
  type LockHolder,
  type LockMechanism,
  type LockMode,
  type LockReport,
  LockTimeoutError,
  type StaleLock,
  type TryAcquireOptions,
  tryLockJobDirectory,
} from '../..';

declare const signal: AbortSignal;
declare const url: URL;

// --- FileLock -------------------------------------------------------------------------------------

const lock = new FileLock('path');
expectType<FileLock>(new FileLock(url));
expectAssignable<Disposable>(lock);
expectType<string>(lock.path);
expectType<Promise<LockGuard>>(lock.acquire());
expectType<Promise<LockGuard>>(lock.acquire({}));
expectType<Promise<LockGuard>>(lock.acquire({ mode: 'shared', timeout: Number.POSITIVE_INFINITY, signal }));
expectType<LockGuard>(lock.acquireSync());
expectType<LockGuard>(lock.acquireSync({ mode: 'exclusive', timeout: 0 }));
expectType<LockGuard | null>(lock.tryAcquire());
expectType<LockGuard | null>(lock.tryAcquire({ mode: 'shared' }));
expectType<LockReport>(lock.inspect());
expectType<void>(lock.close());
expectType<void>(lock[Symbol.dispose]());

// withLock resolves with the result of the function, whether that is a promise or not.
expectType<Promise<number>>(lock.withLock(() => 1));
expectType<Promise<number>>(lock.withLock(async () => 1));
expectType<Promise<string>>(lock.withLock((guard) => guard.path, { timeout: 1, signal }));
lock.withLock((guard) => expectType<LockGuard>(guard));

// @ts-expect-error
new FileLock();
// @ts-expect-error
new FileLock(1);
// @ts-expect-error
new FileLock('path', { mode: 'write' });
// @ts-expect-error
new FileLock('path', { timeout: '1s' });
// @ts-expect-error
new FileLock('path', { mechanism: 'lockf' });
// @ts-expect-error
new FileLock('path', { stale: 1000 });
// @ts-expect-error
new FileLock('path', null);
// @ts-expect-error
FileLock('path');
// @ts-expect-error
lock.acquire({ mode: 'read' });
// @ts-expect-error
lock.acquire({ signal: 'abort' });
// @ts-expect-error
lock.acquire({ retries: 3 });
// @ts-expect-error
lock.acquireSync({ signal });
// @ts-expect-error
lock.tryAcquire({ timeout: 1 });
// @ts-expect-error
lock.tryAcquire({ signal });
// @ts-expect-error
lock.withLock();
// @ts-expect-error
lock.withLock(1);
// @ts-expect-error
lock.path = 'other';

// --- Options --------------------------------------------------------------------------------------

expectType<LockMode>('shared' as 'exclusive' | 'shared');
expectType<LockMechanism>('fcntl' as 'flock' | 'fcntl');
expectType<Required<FileLockOptions>>({} as Required<FileLockOptions>);
expectAssignable<FileLockOptions>({
  mode: 'shared',
  timeout: 1,
  mechanism: 'fcntl',
  createParents: false,
  fileMode: 0o666,
  keepOpen: true,
  recordHolder: true,
});
// Undefined means absent, also with exactOptionalPropertyTypes.
expectAssignable<FileLockOptions>({
  mode: undefined,
  timeout: undefined,
  mechanism: undefined,
  createParents: undefined,
  fileMode: undefined,
  keepOpen: undefined,
  recordHolder: undefined,
});
expectAssignable<AcquireOptions>({ mode: undefined, timeout: undefined, signal: undefined });
expectAssignable<AcquireSyncOptions>({ mode: undefined, timeout: undefined });
expectAssignable<TryAcquireOptions>({ mode: undefined });
expectNotAssignable<AcquireSyncOptions>({ signal });
expectNotAssignable<TryAcquireOptions>({ timeout: 1 });
// Options of one method are assignable to another one only if that would not ignore any of them.
expectAssignable<AcquireOptions>({} as AcquireSyncOptions);
expectAssignable<AcquireSyncOptions>({} as TryAcquireOptions);
expectNotAssignable<AcquireSyncOptions>({} as AcquireOptions);

// --- Guards ---------------------------------------------------------------------------------------

declare const guard: LockGuard;
expectAssignable<Disposable>(guard);
expectAssignable<AsyncDisposable>(guard);
expectType<string>(guard.path);
expectType<LockMode>(guard.mode);
expectType<boolean>(guard.held);
expectType<LockHolder | null>(guard.previousHolder);
expectType<bigint | null>(guard.fencingToken);
expectType<void>(guard.release());
expectType<void>(guard.untilExit());
expectType<void>(guard[Symbol.dispose]());
expectType<Promise<void>>(guard[Symbol.asyncDispose]());
// @ts-expect-error
guard.path = 'other';
// @ts-expect-error
guard.mode = 'shared';
// @ts-expect-error
guard.held = false;
// @ts-expect-error
guard.previousHolder = null;
// @ts-expect-error
guard.fencingToken = 1n;

export function usingDeclarations(): void {
  using maybe = lock.tryAcquire();
  expectType<LockGuard | null>(maybe);
  using surely = lock.acquireSync();
  expectType<LockGuard>(surely);
  using file = new FileLock('path');
  expectType<FileLock>(file);
  using manager = new JobLockManager('jobs');
  expectType<JobLockManager>(manager);
}

export async function usingDeclarationsThatWait(): Promise<void> {
  using plain = await lock.acquire();
  expectType<LockGuard>(plain);
  await using waiting = await lock.acquire();
  expectType<LockGuard>(waiting);
  await using maybe = lock.tryAcquire();
  expectType<LockGuard | null>(maybe);
}

// --- Reports --------------------------------------------------------------------------------------

declare const holder: LockHolder;
expectType<number>(holder.pid);
expectType<string>(holder.hostname);
expectType<string>(holder.command);
expectType<Date | null>(holder.acquiredAt);
expectType<boolean | null>(holder.running);
expectType<boolean>(holder.thisProcess);

declare const report: LockReport;
expectType<string>(report.path);
expectType<'missing' | 'free' | 'held' | 'unknown'>(report.state);
expectType<LockMode | null>(report.mode);
expectType<LockHolder | null>(report.holder);
expectType<LockHolder[]>(report.holders);
expectType<number | null>(report.waiting);
expectType<boolean | null>(report.abandoned);

// --- Errors ---------------------------------------------------------------------------------------

declare const error: unknown;
if (error instanceof LockError) {
  expectAssignable<Error>(error);
  expectType<string>(error.code);
  expectType<string>(error.path);
  expectType<string | undefined>(error.syscall);
  expectType<number | undefined>(error.errno);
  expectType<unknown>(error.cause);
  // @ts-expect-error
  error.code = 'EACCES';
  // @ts-expect-error
  error.path = 'other';
}
if (error instanceof LockTimeoutError) {
  expectAssignable<LockError>(error);
  expectType<'ERR_LOCK_TIMEOUT'>(error.code);
  expectType<number>(error.timeout);
  expectType<LockHolder | null>(error.holder);
  // @ts-expect-error
  error.timeout = 1;
}

// --- Jobs -----------------------------------------------------------------------------------------

const jobs = new JobLockManager('jobs');
expectAssignable<Disposable>(jobs);
expectType<JobLockManager>(new JobLockManager(url, {}));
expectAssignable<JobLockManagerOptions>({ timeout: 1, mechanism: 'fcntl', fileMode: 0o600, recordHolder: false });
expectAssignable<JobLockManagerOptions>({
  timeout: undefined,
  mechanism: undefined,
  fileMode: undefined,
  recordHolder: undefined,
});
expectType<string>(jobs.jobsDirectory);
expectType<Promise<JobLockGuard>>(jobs.lockJobDirectory('job'));
expectType<Promise<JobLockGuard>>(jobs.lockJobDirectory('job', { mode: 'shared', timeout: 1, signal }));
expectType<JobLockGuard>(jobs.lockJobDirectorySync('job', { timeout: 1 }));
expectType<JobLockGuard | null>(jobs.tryLockJobDirectory('job', { mode: 'shared' }));
expectType<boolean>(jobs.unlockJobDirectory('job'));
expectType<boolean>(jobs.isJobLocked('job'));
expectType<Promise<number>>(jobs.jobLock('job', () => 1));
expectType<Promise<string>>(jobs.jobLock('job', async (guard) => guard.jobId, { signal }));
expectType<Promise<LockGuard>>(jobs.lockJobsIndex({ timeout: 1 }));
expectType<Promise<number>>(jobs.jobsIndexLock(() => 1, { timeout: 1 }));
jobs.jobLock('job', (guard) => expectType<JobLockGuard>(guard));
jobs.jobsIndexLock((guard) => expectType<LockGuard>(guard));
expectType<LockReport>(jobs.inspectJob('job'));
expectType<Promise<StaleLock[]>>(jobs.cleanupStaleLocks());
expectType<Promise<StaleLock[]>>(jobs.cleanupStaleLocks({ maxAge: 1, dryRun: true, signal }));
expectType<{ activeLocks: string[]; lockCount: number }>(jobs.getLockStatus());
expectType<void>(jobs.close());
expectType<void>(jobs[Symbol.dispose]());

// @ts-expect-error
new JobLockManager();
// @ts-expect-error
new JobLockManager('jobs', { keepOpen: true });
// @ts-expect-error
jobs.lockJobDirectory();
// @ts-expect-error
jobs.lockJobDirectory(1);
// @ts-expect-error
jobs.lockJobDirectorySync('job', { signal });
// @ts-expect-error
jobs.tryLockJobDirectory('job', { timeout: 1 });
// @ts-expect-error
jobs.jobLock('job');
// @ts-expect-error
jobs.jobsDirectory = 'other';

declare const jobGuard: JobLockGuard;
expectAssignable<LockGuard>(jobGuard);
expectType<string>(jobGuard.jobId);
// @ts-expect-error
jobGuard.jobId = 'other';

declare const stale: StaleLock;
expectType<string | null>(stale.jobId);
expectType<string>(stale.path);
expectType<LockHolder | null>(stale.previousHolder);
expectType<boolean>(stale.abandoned);

expectType<Promise<number>>(jobDirectoryLock('job', 'jobs', () => 1));
expectType<Promise<string>>(jobDirectoryLock('job', url, async (guard) => guard.jobId, { timeout: 1, signal }));
expectType<Promise<JobLockGuard | null>>(tryLockJobDirectory('job', 'jobs'));
expectType<Promise<JobLockGuard | null>>(tryLockJobDirectory('job', url, { timeout: 1, signal }));
// @ts-expect-error
jobDirectoryLock('job', 'jobs');
// @ts-expect-error
tryLockJobDirectory('job');
