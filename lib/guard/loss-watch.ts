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
 * Aborts a signal when a held lock is lost: when its path stops naming the locked file. Checks on each
 * event of the file (inotify(7) and its kin), and once a second, by one timer for the whole thread, since
 * some changes make no such event: a parent that is renamed, a file that cannot be watched.
 */
export class LossWatch {
  readonly #controller = new AbortController();
  #watcher: FSWatcher | undefined;

  /** `findLoss` returns the error of a lock that is lost; null while it is held, or while that is unknown. */
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
      // No more watches (ENOSPC), or none on this system: then the timer alone checks.
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
