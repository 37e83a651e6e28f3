import type { Native } from '../native.js';

/** The lock is left free after this many milliseconds of back-to-back grants. */
const LONGEST_BURST_MS = 3;
/**
 * It is left free for about this long. That is what the shortest sleep takes: half of it is the kernel's timer
 * slack (prctl(2), PR_SET_TIMERSLACK), the rest is going to sleep and waking up.
 */
const GAP_MS = 0.1;

/**
 * Limits how long this thread grants one lock to its own callers back to back. A process that waits in the
 * kernel is woken by every unlock, but runs only after a loop here has locked again: without the gap, waits
 * of seconds were seen.
 */
export class LocalGrantBudget {
  /** Whether the lock must be left free before the next attempt. */
  isSpent = false;
  // Both on the clock of `lastRelease`. A burst begins with its first release; negative: before that.
  #burstStart = -1;
  #freeSince = -1;

  constructor(private readonly native: Native) {}

  /** To be called after each release. */
  noteRelease(): void {
    const time = this.native.lastRelease[0] as number;
    if (this.#burstStart < 0) this.#burstStart = time;
    this.isSpent = time - this.#burstStart > LONGEST_BURST_MS;
    this.#freeSince = time;
  }

  /** Leaves the lock, which this thread must not hold, free for the rest of the gap. */
  yieldToOtherProcesses(): void {
    this.native.yieldLock(this.#freeSince, GAP_MS);
    this.renew();
  }

  /** Another process has held the lock, or could have: the next release begins another burst. */
  renew(): void {
    this.#burstStart = -1;
    this.isSpent = false;
  }
}
