/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />

export type { AbandonedMessage, AcquireTrace, ReleaseMessage } from './diagnostics.js';
export { LockError, LockTimeoutError } from './errors.js';
export { FileLock } from './file-lock.js';
export type { LockReport } from './inspect.js';
export {
  type CleanupOptions,
  JobLockManager,
  type JobLockManagerOptions,
  jobDirectoryLock,
  tryLockJobDirectory,
} from './job-lock-manager.js';
export type { JobLockGuard, LockGuard } from './lock-guard.js';
export type { LockHolder } from './lock-holder.js';
export type {
  AcquireOptions,
  AcquireSyncOptions,
  FileLockOptions,
  LockMechanism,
  LockMode,
  TryAcquireOptions,
} from './options.js';
export type { StaleLock } from './stale-locks.js';
