/**
 * What does the locking, for lib/file-lock.ts to load at the first use of a lock: a program that only
 * imports this package, as every start of a command-line tool does, shall not pay for all of it.
 */
export { onAbort } from './abort.js';
export { acquisitionsAreTraced, traceAcquire, traceAcquireSync } from './diagnostics.js';
export { inspect } from './inspect.js';
export { LockFile } from './lock-file.js';
export { newGuard } from './lock-guard.js';
export { ManagedGuard, ManagedJobGuard } from './managed-guards.js';
export { pathLockOf } from './path-locks.js';
export { removeStaleLocks } from './stale-locks.js';
