import type { LockMode } from '../lock-mode.js';

/** Who holds a lock, as far as is known. A hint for people: only the kernel knows who holds it. */
export interface LockHolder {
  /** In the pid namespace of the process that recorded it, else of this one. */
  pid: number;
  /** The name of its host. */
  hostname: string;
  /** The executable and its script; never the other arguments, which can hold secrets. */
  command: string;
  /** When it was granted the lock; null when it did not record that. */
  acquiredAt: Date | null;
  /** Whether that very process still runs; null when that is unknown (another host, another pid namespace, no /proc). */
  running: boolean | null;
  /** Whether it is this process, in whatever thread. */
  thisProcess: boolean;
}

/** What the kernel's table of locks and the record in the lock file say of a lock. */
export interface LockReport {
  /** The absolute path of the lock file. */
  path: string;
  /** `unknown`: the kernel's table of locks is not visible from here, or not all of it. */
  state: 'missing' | 'free' | 'held' | 'unknown';
  /** How it is held; null when it is not, or when that is unknown. */
  mode: LockMode | null;
  /** Who holds it, or, when free, who abandoned it. */
  holder: LockHolder | null;
  /** All who hold it, as far as the kernel names them: a shared lock can have several holders. */
  holders: LockHolder[];
  /** How many waits for it are in the kernel; null when that is unknown. */
  waiting: number | null;
  /** Free, and the last holder ended without releasing; null when the state is unknown. */
  abandoned: boolean | null;
}
