// Misuse is marked by @ts-expect-error, and not by tsd's expectError: so tsc can check this file too.
import { expectAssignable, expectNotAssignable, expectType } from 'tsd';
import {
  type AcquireOptions,
  type AcquireSyncOptions,
  FileLock,
  isSupported,
  JobLockManager,
  type LockReport,
  type TryAcquireOptions,
  tryLockJobDirectory,
} from '../..';

const lock = new FileLock('path');
const jobs = new JobLockManager('jobs');

lock.acquire({ onWait: (report) => expectType<LockReport>(report) });
lock.withLock(() => 1, { onWait: (report) => expectType<LockReport>(report) });
jobs.lockJobDirectory('job', { onWait: (report) => expectType<LockReport>(report) });
jobs.jobLock('job', () => 1, { onWait: (report) => expectType<LockReport>(report) });
jobs.lockJobsIndex({ onWait: (report) => expectType<LockReport>(report) });
tryLockJobDirectory('job', 'jobs', { timeout: 1, onWait: (report) => expectType<LockReport>(report) });
expectAssignable<AcquireOptions>({ onWait: undefined });
expectAssignable<AcquireOptions>({ onWait: () => {} });
expectAssignable<AcquireSyncOptions>({ onWait: undefined, signal: undefined });
expectAssignable<TryAcquireOptions>({ onWait: undefined, signal: undefined, timeout: undefined });
expectNotAssignable<AcquireSyncOptions>({ onWait: () => {} });
expectNotAssignable<TryAcquireOptions>({ onWait: () => {} });
// @ts-expect-error
lock.acquire({ onWait: 1 });
// @ts-expect-error
lock.acquireSync({ onWait: () => {} });
// @ts-expect-error
lock.tryAcquire({ onWait: () => {} });
// @ts-expect-error
lock.acquire({ timout: 5 });
// @ts-expect-error
jobs.cleanupStaleLocks({ dryrun: true });

expectType<boolean>(isSupported());
