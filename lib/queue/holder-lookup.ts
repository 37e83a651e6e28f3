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

/** Whose holder is looked up. */
export interface LookedUp {
  readonly path: string;
  readonly mechanism: LockMechanism;
  /** On a server: only threads touch the file. */
  readonly isOnNetwork: boolean;
}

/** Looks up the holder of one path, once for all who ask at about the same time. */
export class HolderLookup {
  #askedAt = Number.NEGATIVE_INFINITY;
  #answer: Promise<LockHolder | null> = Promise.resolve(null);
  #answered = false;
  #here = false;
  #report: Promise<LockReport> | undefined;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly lock: LookedUp) {}

  /** `here`: a guard of this thread is known to conflict. */
  start(here: boolean): Promise<LockHolder | null> {
    if (now() - this.#askedAt > LOOKUP_TTL_MS || here !== this.#here) {
      this.#askedAt = now();
      this.#here = here;
      const { path, mechanism, isOnNetwork } = this.lock;
      this.#answered = here && !isOnNetwork;
      const answer = findHolder(path, mechanism, isOnNetwork, here);
      this.#answer = answer;
      void answer.then(() => {
        if (answer === this.#answer) this.#answered = true;
      });
    }
    return this.#answer;
  }

  /** The same for a wait that has timed out: null if the answer takes too long. */
  async finish(here: boolean): Promise<LockHolder | null> {
    const answer = this.start(here);
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
  report(heldHere: LockMode | null): Promise<LockReport> {
    if (this.#report === undefined || now() - this.#reportedAt > LOOKUP_TTL_MS) {
      this.#reportedAt = now();
      const { path, mechanism, isOnNetwork } = this.lock;
      this.#report = inspectOffThread(path, mechanism, heldHere, isOnNetwork);
    }
    return this.#report;
  }
}
