import { FileLock } from '../../lib/index.js';

/** Whether the lock of a file is free. A FileLock of its own conflicts even with guards of this thread. */
export function isFree(file: string): boolean {
  const guard = new FileLock(file).tryAcquire();
  guard?.release();
  return guard !== null;
}
