import { type FSWatcher, watch } from 'node:fs';
import { clearInterval, setInterval } from '../clock.js';
import type { LockError } from '../errors.js';

/** Every watched lock is checked this often (ms): not every change of a path is an event of the file. */
const CHECK_INTERVAL = 1000;

const watches = new Set<LossWatch>();
let timer: NodeJS.Timeout | undefined;

function checkAll(): void {
  for (const each of watches) each.check();
}

/**
 * Aborts a signal when a held lock is lost: when its path stops naming the locked file. Looks on each
 * event of the file (inotify(7) and its kin), and once a second, by one timer for the whole thread, for
 * what makes no event of the file: a parent that is renamed, a file that cannot be watched.
 */
export class LossWatch {
  readonly #controller = new AbortController();
  #watcher: FSWatcher | undefined;

  /** `findLoss` gives the error of a lock that is lost, and null for one that is held, or of which that cannot be told now. */
  constructor(
    path: string,
    private readonly findLoss: () => LockError | null,
  ) {
    this.check();
    if (this.signal.aborted) return;
    try {
      this.#watcher = watch(path, { persistent: false }, () => this.check());
      this.#watcher.on('error', () => this.#stopWatcher());
    } catch {
      // No more watches (ENOSPC), or none here: the timer alone then.
    }
    watches.add(this);
    timer ??= setInterval(checkAll, CHECK_INTERVAL).unref();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  check(): void {
    const loss = this.findLoss();
    if (loss === null) return;
    this.stop();
    this.#controller.abort(loss);
  }

  /** The signal does not abort any more. */
  stop(): void {
    this.#stopWatcher();
    watches.delete(this);
    if (watches.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  #stopWatcher(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
