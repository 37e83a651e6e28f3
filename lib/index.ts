/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />

export { LockError, LockTimeoutError } from './errors.js';
export { FileLock } from './file-lock.js';
export type { LockReport } from './inspect.js';
export type { LockGuard, LockMode } from './lock-guard.js';
export type { LockHolder } from './lock-holder.js';
export type {
  AcquireOptions,
  AcquireSyncOptions,
  FileLockOptions,
  LockMechanism,
  TryAcquireOptions,
} from './options.js';
