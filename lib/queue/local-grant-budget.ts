import type { Native } from '../native.js';

/** After this many milliseconds of back-to-back grants … */
const LONGEST_BURST_MS = 3;
/**
 * … the lock is left free for about this long. The shortest sleep takes it, of which half is the
 * kernel's timer slack (prctl(2), PR_SET_TIMERSLACK) and the rest the way into the sleep and out of it.
 */
const GAP_MS = 0.1;

/**
 * How long this thread may grant one lock to its own callers back to back. A process that waits in the
 * kernel is woken by every unlock, but runs only after a loop here has locked again: without the gap it
 * was seen to wait for seconds.
 */
export class LocalGrantBudget {
  /** Whether the lock must be left free before the next attempt. */
  isSpent = false;
  // Both on the clock of `lastRelease`. A burst begins with its first release; negative: before that.
  #burstStart = -1;
  #freeSince = -1;

  constructor(private readonly native: Native) {}

  /** After each release. */
  noteRelease(): void {
    const time = this.native.lastRelease[0] as number;
    if (this.#burstStart < 0) this.#burstStart = time;
    this.isSpent = time - this.#burstStart > LONGEST_BURST_MS;
    this.#freeSince = time;
  }

  /** Leaves the lock, of which this thread holds nothing, free for the rest of the gap. */
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
