// Misuse is marked with @ts-expect-error instead of tsd's expectError, so that tsc can check this file too.
import { expectAssignable, expectNotAssignable, expectType } from 'tsd';
import {
  type AcquireOptions,
  type JobLockGuard,
  JobLockManager,
  type JobLockManagerOptions,
  jobDirectoryLock,
  type LockGuard,
  type LockHolder,
  type LockReport,
  type StaleLock,
  tryLockJobDirectory,
} from '../..';

const manager = new JobLockManager('jobs', { timeout: 5, mechanism: 'fcntl', fileMode: 0o600, recordHolder: false });
new JobLockManager(new URL('file:///jobs'));
expectType<string>(manager.jobsDirectory);
expectAssignable<Disposable>(manager);
// @ts-expect-error
new JobLockManager();
// @ts-expect-error
new JobLockManager(5);
// @ts-expect-error
new JobLockManager('jobs', { mechanism: 'lockf' });
// @ts-expect-error
new JobLockManager('jobs', { keepOpen: true });
// @ts-expect-error
({ ...manager }).jobsDirectory = 5;

// Undefined means absent, also with exactOptionalPropertyTypes.
expectAssignable<JobLockManagerOptions>({
  timeout: undefined,
  mechanism: undefined,
  fileMode: undefined,
  recordHolder: undefined,
});
expectAssignable<AcquireOptions>({ mode: undefined, timeout: undefined, signal: undefined });
expectAssignable<Parameters<JobLockManager['cleanupStaleLocks']>[0]>({
  maxAge: undefined,
  dryRun: undefined,
  signal: undefined,
});

// A JobLockGuard is a LockGuard with a job id.
expectType<Promise<JobLockGuard>>(manager.lockJobDirectory('job'));
expectType<Promise<JobLockGuard>>(
  manager.lockJobDirectory('job', { mode: 'shared', timeout: 0, signal: new AbortController().signal }),
);
expectType<JobLockGuard>(manager.lockJobDirectorySync('job', { timeout: 5 }));
expectType<JobLockGuard | null>(manager.tryLockJobDirectory('job', { mode: 'shared' }));
// @ts-expect-error
manager.lockJobDirectory();
// @ts-expect-error
manager.lockJobDirectory(5);
// @ts-expect-error
manager.lockJobDirectorySync('job', { signal: new AbortController().signal });
// @ts-expect-error
manager.tryLockJobDirectory('job', { timeout: 5 });
declare const guard: JobLockGuard;
expectAssignable<LockGuard>(guard);
expectAssignable<Disposable & AsyncDisposable>(guard);
expectType<string>(guard.jobId);
expectType<LockHolder | null>(guard.previousHolder);
expectType<bigint | null>(guard.fencingToken);
// @ts-expect-error read-only
guard.jobId = 'other';
declare const indexGuard: LockGuard;
expectNotAssignable<JobLockGuard>(indexGuard);

expectType<boolean>(manager.unlockJobDirectory('job'));
expectType<boolean>(manager.isJobLocked('job'));
expectType<LockReport>(manager.inspectJob('job'));
expectType<{ activeLocks: string[]; lockCount: number }>(manager.getLockStatus());
expectType<void>(manager.close());

// The scoped forms resolve with the result of the function, whether that is a promise or not.
expectType<Promise<number>>(manager.jobLock('job', () => 5));
expectType<Promise<number>>(manager.jobLock('job', async (it) => expectType<JobLockGuard>(it) as unknown as number));
expectType<Promise<LockGuard>>(manager.lockJobsIndex());
expectType<Promise<string>>(manager.jobsIndexLock(async () => 'x', { timeout: 5 }));
expectType<Promise<void>>(manager.jobsIndexLock((it) => expectType<LockGuard>(it)));
expectType<Promise<number>>(jobDirectoryLock('job', 'jobs', () => 5));
expectType<Promise<number>>(jobDirectoryLock('job', new URL('file:///jobs'), async () => 5, { timeout: 5 }));
expectType<Promise<JobLockGuard | null>>(tryLockJobDirectory('job', 'jobs', { timeout: 5 }));
// @ts-expect-error
manager.jobLock('job');
// @ts-expect-error
jobDirectoryLock('job', () => 5);

expectType<Promise<StaleLock[]>>(manager.cleanupStaleLocks());
declare const stale: StaleLock;
expectType<string | null>(stale.jobId);
expectType<string>(stale.path);
expectType<LockHolder | null>(stale.previousHolder);
expectType<boolean>(stale.abandoned);
// @ts-expect-error
manager.cleanupStaleLocks({ maxAge: '1h' });
