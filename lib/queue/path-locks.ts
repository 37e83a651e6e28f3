import type { LockMechanism, LockMode } from '../lock-mode.js';
import { PathLock } from './path-lock.js';

const registry = { flock: new Map<string, PathLock>(), fcntl: new Map<string, PathLock>() };
let sweepAt = 64;

/**
 * The one PathLock of a path. An idle one is kept for a while, since a loop that makes a FileLock in each
 * turn must not get a new budget in each; when there are many, all idle ones are dropped.
 */
export function pathLockOf(path: string, mechanism: LockMechanism): PathLock {
  const locks = registry[mechanism];
  let lock = locks.get(path);
  if (lock !== undefined) return lock;
  if (locks.size >= sweepAt) {
    for (const [key, each] of locks) {
      each.retired = each.idle;
      if (each.idle) locks.delete(key);
    }
    sweepAt = Math.max(64, 2 * locks.size);
  }
  lock = new PathLock(path, mechanism);
  locks.set(path, lock);
  return lock;
}

/** How guards of this thread hold the lock of a path; null when there are none. */
export function heldHere(path: string, mechanism: LockMechanism): LockMode | null {
  return registry[mechanism].get(path)?.heldHere ?? null;
}
