/**
 * What does the locking, for lib/file-lock.ts to load at the first use of a lock: a program that only
 * imports this package, as every start of a command-line tool does, shall not pay for all of it.
 */

export { acquisitionsAreTraced, traceAcquire, traceAcquireSync } from './diagnostics.js';
export { inspect } from './holder/inspect.js';
export { ManagedGuard, ManagedJobGuard } from './jobs/managed-guards.js';
export { removeStaleLocks } from './jobs/stale-locks.js';
export { LockFile } from './lock-file.js';
export { newGuard } from './lock-guard.js';
export { onAbort } from './queue/abort.js';
export { pathLockOf } from './queue/path-locks.js';
