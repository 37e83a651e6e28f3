import { lockReleased } from '../errors.js';
import type { LockHolder } from '../holder/lock-holder.js';
import type { Grant } from '../holder/recorder.js';
import type { LockFile } from '../lock-file.js';
import type { LockMode } from '../lock-mode.js';
import { untrack } from './leak-detector.js';
import type { FindLoss, LossWatch } from './loss-watch.js';

/**
 * Possession of a lock. It ends with {@link LockGuard.release}, or with the thread or process that has it;
 * never by garbage collection.
 */
export interface LockGuard extends Disposable, AsyncDisposable {
  /** The absolute path of the lock file. */
  readonly path: string;
  /** How the lock is held. */
  readonly mode: LockMode;
  /** False once this guard was released. It stays true when the lock is {@link lost}. */
  readonly held: boolean;
  /**
   * Who held the lock before, if that holder ended without releasing it: what it was doing may be half
   * done. Null otherwise, for shared guards, and without `recordHolder`. Each such end is reported once.
   */
  readonly previousHolder: LockHolder | null;
  /**
   * Strictly grows with every recorded exclusive grant of this path; null when nothing was recorded (see
   * `recordHolder`). Pass it to the resource that the lock protects, and let that refuse smaller tokens.
   */
  readonly fencingToken: bigint | null;
  /**
   * The descriptor of the locked file while the lock is held, to read or write that file, or to hand it
   * to a child process; null after release, and on Windows.
   *
   * A child that inherits the descriptor shares the lock: it stays held until both have closed it, but
   * {@link release} unlocks it for the child, too. Do not close it; if that happens, `release()` touches
   * nothing and emits a warning.
   */
  readonly fd: number | null;
  /**
   * Aborts with a `LockError` `ERR_LOCK_LOST` when the path stops naming the locked file: it was removed
   * or replaced, and others may hold the lock now. Watched from the first read of this property on: on
   * each event of the file, and once a second. Never aborts after release.
   */
  readonly lost: AbortSignal;
  /**
   * Checks that the lock is held and that its path still names the locked file.
   * @throws LockError `ERR_LOCK_LOST` if not; the system's code if the check fails
   */
  verify(): void;
  /** Unlocks. Idempotent and synchronous; never throws. A failure to unlock is a process warning. */
  release(): void;
  /** This guard is to be held until the process ends: no warning when it is garbage collected. */
  untilExit(): void;
  /** The same as {@link release}. */
  [Symbol.dispose](): void;
  /** The same as {@link release}. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Possession of a job's lock. */
export interface JobLockGuard extends LockGuard {
  /** The job whose lock this is. */
  readonly jobId: string;
}

/** @internal Whose locks are granted: how the file is opened, and how the guards are made. */
export interface GuardSource {
  readonly file: LockFile;
  readonly newGuard: NewGuard;
}

/** @internal Makes a guard for an acquisition that may still fail. */
export type NewGuard = (owner: GuardOwner, file: LockFile, exclusive: boolean) => Guard;

/** @internal What a guard is a possession of. */
export interface GuardOwner {
  readonly path: string;
  /** Called once for each guard that was granted. `undelivered`: its caller never had it. */
  release(guard: Guard, undelivered: boolean): void;
}

/** Guards whose record is marked released when this thread ends normally: with exit code 0. */
let untilExit: Set<Guard> | undefined;

function releaseAtExit(guard: Guard): void {
  if (untilExit === undefined) {
    const guards = new Set<Guard>();
    untilExit = guards;
    process.once('exit', (code) => {
      if (code === 0) for (const each of guards) each.recordRelease();
    });
  }
  untilExit.add(guard);
}

/** @internal */
export class Guard implements LockGuard {
  // For its owner, and in plain fields: a getter for each would be felt in a release, after which others wait.
  /** The open file, locked while the guard is held. */
  handle = -1;
  /** What was recorded; null when nothing was, or read. */
  grant: Grant | null = null;
  /** Others may have a copy of the descriptor, so its open file must serve no other guard. */
  exposed = false;
  /** For the leak detector. */
  watched = false;
  readonly #owner: GuardOwner;
  #held = false;
  #meantUntilExit = false;
  #loss: LossWatch | undefined;
  #lost: AbortSignal | undefined;

  constructor(
    owner: GuardOwner,
    readonly file: LockFile,
    readonly exclusive: boolean,
  ) {
    this.#owner = owner;
  }

  /** The lock is this guard's from now on, until {@link release}. `grant` is null when nothing was recorded or read. */
  begin(handle: number, grant: Grant | null): void {
    this.handle = handle;
    this.grant = grant;
    this.#held = true;
  }

  /** What its caller gets. A manager's guard can have been released before. */
  deliver(): this {
    return this;
  }

  /** For the leak detector. */
  get canLeak(): boolean {
    return this.#held && !this.#meantUntilExit;
  }

  // --- For users ----------------------------------------------------------------------------------

  get path(): string {
    return this.#owner.path;
  }

  get mode(): LockMode {
    return this.exclusive ? 'exclusive' : 'shared';
  }

  get previousHolder(): LockHolder | null {
    return this.grant === null ? null : this.grant.previousHolder;
  }

  get fencingToken(): bigint | null {
    return this.grant === null ? null : this.grant.fencingToken;
  }

  get held(): boolean {
    return this.#held;
  }

  get fd(): number | null {
    if (!this.#held) return null;
    this.exposed = true;
    const descriptor = this.file.descriptor(this.handle);
    return descriptor === -1 ? null : descriptor; // Windows has none
  }

  get lost(): AbortSignal {
    if (this.#lost === undefined && this.#held) {
      const { LossWatch } = require('./loss-watch.js') as typeof import('./loss-watch.js');
      const { path, file, handle } = this;
      this.#loss = file.isOnNetwork(handle)
        ? new LossWatch(null, remoteLossFinder(file, handle))
        : new LossWatch(path, lossFinder(file, handle));
      this.#lost = this.#loss.signal;
    }
    this.#lost ??= new AbortController().signal;
    return this.#lost;
  }

  verify(): void {
    if (!this.#held) throw lockReleased(this.path);
    const error = this.file.verify(this.handle);
    if (error !== null) throw error;
  }

  release(): void {
    this.#end(false);
  }

  /** As if the lock had never been granted: for a guard that its caller never had. */
  withdraw(): void {
    this.#end(true);
  }

  #end(undelivered: boolean): void {
    if (!this.#held) return;
    this.#held = false;
    this.#owner.release(this, undelivered); // first: others wait for it
    this.#loss?.stop();
    if (this.watched) untrack(this);
    if (this.#meantUntilExit) untilExit?.delete(this);
  }

  /** Marks the record released, and keeps the lock to the very end. */
  recordRelease(): void {
    if (this.#held && this.grant !== null) this.file.recorder.recordRelease(this.handle, this.grant, false);
  }

  untilExit(): void {
    this.#meantUntilExit = true;
    untrack(this);
    if (this.#held && this.fencingToken !== null) releaseAtExit(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }

  /** For `console.log` (node:util, "Custom inspection functions on objects"). */
  [Symbol.for('nodejs.util.inspect.custom')](_: number, options: object, inspect: typeof import('node:util').inspect) {
    const { path, mode, held } = this;
    return `LockGuard ${inspect({ path, mode, held }, options)}`;
  }
}

/** Not a method: a watch that kept its guard alive would keep the leak detector from noticing it. */
function lossFinder(file: LockFile, handle: number): FindLoss {
  return (onLoss) => {
    const error = file.verify(handle);
    if (error?.code === 'ERR_LOCK_LOST') onLoss(error);
  };
}

/** Asks the server on another thread, and not again before it has answered. */
function remoteLossFinder(file: LockFile, handle: number): FindLoss {
  let isAsking = false;
  return (onLoss) => {
    if (isAsking) return;
    isAsking = true;
    void file.findLoss(handle).then((loss) => {
      isAsking = false;
      if (loss !== null) onLoss(loss);
    });
  };
}

/** @internal A guard that no manager keeps track of. */
export const newGuard: NewGuard = (owner, file, exclusive) => new Guard(owner, file, exclusive);
