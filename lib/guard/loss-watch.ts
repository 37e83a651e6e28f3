import { type FSWatcher, watch } from 'node:fs';
import { clearInterval, setInterval } from '../clock.js';
import type { LockError } from '../errors.js';

/** Every watched lock is checked this often (ms): not every change of a path is an event of the file. */
const CHECK_INTERVAL = 1000;

/** Looks whether a lock is lost, and calls `onLoss` if it is, perhaps later. */
export type FindLoss = (onLoss: (loss: LockError) => void) => void;

const watches = new Set<LossWatch>();
let timer: NodeJS.Timeout | undefined;

function checkAll(): void {
  for (const each of watches) each.check();
}

/**
 * Aborts a signal when a held lock is lost: when its path stops naming the locked file. Checks on each
 * event of the file (inotify(7) and its kin), and once a second, by one timer for the whole thread, since
 * some changes make no such event: a parent that is renamed, a file on a server or one that cannot be watched.
 */
export class LossWatch {
  readonly #controller = new AbortController();
  #watcher: FSWatcher | undefined;

  /** `path`: null where nothing can be watched, as on a server. */
  constructor(
    path: string | null,
    private readonly findLoss: FindLoss,
  ) {
    watches.add(this);
    timer ??= setInterval(checkAll, CHECK_INTERVAL).unref();
    this.check();
    if (path === null || this.signal.aborted) return;
    try {
      this.#watcher = watch(path, { persistent: false }, () => this.check());
      this.#watcher.on('error', () => this.#stopWatcher());
    } catch {
      // No more watches (ENOSPC), or none on this system: then the timer alone checks.
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  check(): void {
    this.findLoss((loss) => {
      if (!watches.has(this)) return;
      this.stop();
      this.#controller.abort(loss);
    });
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
