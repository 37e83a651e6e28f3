import { clearTimeout, now, setTimeout } from '../clock.js';
import { findHolder, holderHere } from '../holder/inspect.js';
import type { LockHolder } from '../holder/lock-holder.js';
import type { LockMechanism } from '../options.js';

/**
 * Who holds the lock is to be asked this long (ms) before a wait times out, since the answer can take
 * 10 ms and more, with hundreds of files 40, and the timeout shall be punctual; …
 */
export const LEAD = 60;
/** … and once it is late, no longer than this (ms). */
const PATIENCE = 10;
/** An answer serves all who ask within this time (ms). */
const FRESH = 2 * LEAD;

/** Who holds the lock of one path, asked once for all who time out at about the same time. */
export class HolderQuestion {
  #askedAt = Number.NEGATIVE_INFINITY;
  #answer: Promise<LockHolder | null> = Promise.resolve(null);
  #known = false;
  #here = false;

  constructor(
    private readonly path: string,
    private readonly mechanism: LockMechanism,
  ) {}

  /** `here`: a guard of this thread is known to bar. */
  ask(here: boolean): Promise<LockHolder | null> {
    if (now() - this.#askedAt > FRESH || here !== this.#here) {
      this.#askedAt = now();
      this.#here = here;
      this.#known = here;
      this.#answer = here ? Promise.resolve(holderHere(this.path)) : findHolder(this.path, this.mechanism);
      void this.#answer.then(() => {
        this.#known = true;
      });
    }
    return this.#answer;
  }

  /** The same, for one who cannot wait any longer: null if it takes too long. */
  async askInHaste(here: boolean): Promise<LockHolder | null> {
    const answer = this.ask(here);
    if (this.#known) return answer;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, PATIENCE, null);
    });
    const holder = await Promise.race([answer, tooLate]);
    clearTimeout(timer);
    return holder;
  }
}
