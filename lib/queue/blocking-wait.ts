import { now } from '../clock.js';
import { deadlock } from '../errors.js';
import { kernelWaitsOf, type WaitOwner } from '../kernel-waits.js';
import type { Attempt, LockFile } from '../lock-file.js';
import { BUSY, failure, GRANTED, type Native, REPLACED } from '../native.js';

/** Returns to JavaScript this often (ms), so that a worker that is being terminated ends. */
const SLICE = 50;

/**
 * Waits for a lock on this thread, which blocks until the grant or until `deadline`. `handle` is the open
 * file of the first attempt, which found the lock held.
 *
 * The waits of this thread for the same file are suspended, and their owners are added to `suspended`: a
 * grant to them would be stuck behind the event loop, which is blocked. That includes a grant that has not
 * been delivered yet; it is given back.
 *
 * @throws LockError `EDEADLK` when a guard of this thread conflicts, since it could not be released before
 * the end of the wait
 */
export function waitOnThisThread(
  native: Native,
  file: LockFile,
  exclusive: boolean,
  handle: number,
  deadline: number,
  suspended: Set<WaitOwner>,
): Attempt {
  let open = handle;
  for (;;) {
    if (native.conflictsWithOwn(open, exclusive)) {
      file.close(open);
      throw deadlock(file.mechanism, file.path);
    }
    for (const owner of kernelWaitsOf(native).ownersWaitingFor(open)) {
      owner.suspendWait();
      suspended.add(owner);
    }
    const left = deadline - now();
    if (left <= 0) return { granted: false, handle: open };
    const outcome = native.waitHere(open, exclusive, Math.min(SLICE, left));
    if (outcome === BUSY) continue;
    if (outcome === GRANTED) return { granted: true, handle: open };
    if (outcome !== REPLACED) throw failure(outcome, file.path);
    const next = file.attempt(exclusive, -1, false);
    if (next.granted) return next;
    open = next.handle;
  }
}
