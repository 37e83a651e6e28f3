import type { Native } from '../native.js';

/** After this many milliseconds of back-to-back grants … */
const LONGEST = 3;
/**
 * … the lock is left free for about this long (ms). The shortest sleep takes it, of which half is the
 * kernel's timer slack (prctl(2), PR_SET_TIMERSLACK) and the rest the way into the sleep and out of it.
 */
const GAP = 0.1;

/**
 * Back-to-back grants of one lock to this thread. A process that waits in the kernel is woken by every
 * unlock, but gets to run only after a loop here has locked again: without the gap it was seen to wait
 * for seconds.
 */
export class Burst {
  /** Whether a gap is due before the next attempt. */
  isOver = false;
  // Both on the clock of `lastRelease`. A burst begins with its first release; negative: before that.
  #start = -1;
  #freeSince = -1;

  constructor(private readonly native: Native) {}

  /** After each release. */
  noteRelease(): void {
    const time = this.native.lastRelease[0] as number;
    if (this.#start < 0) this.#start = time;
    this.isOver = time - this.#start > LONGEST;
    this.#freeSince = time;
  }

  /** Leaves the lock, of which nothing is held here, free for a moment; less what it has been free already. */
  leaveGap(): void {
    this.native.leaveFree(this.#freeSince, GAP);
    this.end();
  }

  /** Somebody else has held the lock, or could have: the next release begins another burst. */
  end(): void {
    this.#start = -1;
    this.isOver = false;
  }
}
