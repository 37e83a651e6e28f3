import { clearTimeout, now, setTimeout } from '../clock.js';
import { findHolder, inspectOffThread } from '../holder/inspect.js';
import type { LockHolder, LockReport } from '../holder/lock-holder.js';
import type { LockMechanism, LockMode } from '../lock-mode.js';

/**
 * The lookup starts this long before a wait times out: it can take 10 ms, or 40 with hundreds of files, and
 * the timeout must be punctual.
 */
export const LOOKUP_LEAD_MS = 60;
/** How long a wait that has timed out waits for an answer that is late. */
const LOOKUP_TIMEOUT_MS = 10;
/** An answer is reused for this long. */
const LOOKUP_TTL_MS = 2 * LOOKUP_LEAD_MS;

/** Looks up the holder of one path, once for all who ask at about the same time. */
export class HolderLookup {
  #askedAt = Number.NEGATIVE_INFINITY;
  #answer: Promise<LockHolder | null> = Promise.resolve(null);
  #answered = false;
  #here = false;
  #report: Promise<LockReport> | undefined;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly path: string,
    private readonly mechanism: LockMechanism,
  ) {}

  /** `here`: a guard of this thread is known to conflict. */
  start(here: boolean, onNetwork: boolean): Promise<LockHolder | null> {
    if (now() - this.#askedAt > LOOKUP_TTL_MS || here !== this.#here) {
      this.#askedAt = now();
      this.#here = here;
      this.#answered = here && !onNetwork;
      const answer = findHolder(this.path, this.mechanism, onNetwork, here);
      this.#answer = answer;
      void answer.then(() => {
        if (answer === this.#answer) this.#answered = true;
      });
    }
    return this.#answer;
  }

  /** The same for a wait that has timed out: null if the answer takes too long. */
  async finish(here: boolean, onNetwork: boolean): Promise<LockHolder | null> {
    const answer = this.start(here, onNetwork);
    if (this.#answered) return answer;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, LOOKUP_TIMEOUT_MS, null);
    });
    const holder = await Promise.race([answer, tooLate]);
    clearTimeout(timer);
    return holder;
  }

  /** The report of `inspect`, made without blocking this thread. */
  report(heldHere: LockMode | null, onNetwork: boolean): Promise<LockReport> {
    if (this.#report === undefined || now() - this.#reportedAt > LOOKUP_TTL_MS) {
      this.#reportedAt = now();
      this.#report = inspectOffThread(this.path, this.mechanism, heldHere, onNetwork);
    }
    return this.#report;
  }
}
