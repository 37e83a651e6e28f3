/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />

// Without @types/node, the reference above is then the only error: "Cannot find type definition file for 'node'".
// Where these are declared, by it or by the dom library, this adds nothing.
declare global {
  interface AbortSignal {}
  interface URL {}
}

export type { AbandonedMessage, AcquireTrace, ReleaseMessage } from './diagnostics.js';
export { LockError, LockTimeoutError } from './errors.js';
export { FileLock } from './file-lock.js';
export type { JobLockGuard, LockGuard } from './guard/lock-guard.js';
export type { LockHolder, LockReport } from './holder/lock-holder.js';
export {
  type CleanupOptions,
  JobLockManager,
  type JobLockManagerOptions,
  jobDirectoryLock,
  tryLockJobDirectory,
} from './jobs/job-lock-manager.js';
export type { StaleLock } from './jobs/stale-locks.js';
export type { LockMechanism, LockMode } from './lock-mode.js';
export type {
  AcquireOptions,
  AcquireSyncOptions,
  FileLockOptions,
  TryAcquireOptions,
} from './options.js';

/** Whether this platform has a binary that loads, so that locks can be used at all. Never throws. */
export function isSupported(): boolean {
  try {
    (require('./native.js') as typeof import('./native.js')).loadNative('');
    return true;
  } catch {
    return false;
  }
}
