import { setImmediate } from './clock.js';
import type { LockHolder } from './holder/lock-holder.js';
import type { Grant, LockFile } from './lock-file.js';
import type { LockMode } from './options.js';

/** Possession of a lock. It ends by {@link LockGuard.release} or with its thread or process, and by nothing else. */
export interface LockGuard extends Disposable, AsyncDisposable {
  /** The absolute path of the lock file. */
  readonly path: string;
  readonly mode: LockMode;
  readonly held: boolean;
  /** Set when the last recorded holder ended without releasing: what it was doing may be half done. */
  readonly previousHolder: LockHolder | null;
  /** Strictly grows with every recorded exclusive grant of this path; null when nothing was recorded. */
  readonly fencingToken: bigint | null;
  /** Frees the lock. Idempotent and synchronous; never throws. */
  release(): void;
  /** Says that this guard is meant to be held until the process ends, so that collecting it warns nobody. */
  untilExit(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Possession of a job's lock. */
export interface JobLockGuard extends LockGuard {
  readonly jobId: string;
}

/** @internal Whose locks are granted: how the file is opened, and how the guards are made. */
export interface GuardSource {
  readonly file: LockFile;
  /** Called at the grant itself, so that nothing comes between the lock and whoever answers for it. */
  readonly newGuard: NewGuard;
}

/** @internal */
export type NewGuard = (
  owner: GuardOwner,
  handle: number,
  exclusive: boolean,
  file: LockFile,
  grant: Grant | null,
) => Guard;

/** @internal What a guard is a possession of. */
export interface GuardOwner {
  readonly path: string;
  /** Called once for each guard, with what it was made from. */
  release(guard: Guard, undelivered: boolean): void;
}

/**
 * A guard that is collected stays held: V8 collects even a module's top-level constant once nothing
 * uses it, and a daemon must not lose its lock so. The open file belongs to the addon, not to this
 * object.
 *
 * Registering every guard would cost a hot loop as much as a system call. So a new guard is kept
 * (and with it alive) in `newest` until either the next one comes or the event loop turns, and is
 * registered only if it is still held then.
 */
const forgotten = new FinalizationRegistry<string>((path) => {
  process.emitWarning(
    `A lock guard was garbage collected without release(): '${path}' stays locked until this thread or process ends. ` +
      'Use withLock() or `using`, or call untilExit() if that is meant.',
    { type: 'LockWarning', code: 'LOCK_GUARD_FORGOTTEN' },
  );
});
let newest: Guard | null = null;
let newestWillBeWatched = false;

function watchNewest(): void {
  if (newest?.held) newest.watch();
  newest = null;
}

/** @internal Has the watch wait for the event loop to turn. To be called before what must be quick afterwards. */
export function prepareToWatch(): void {
  if (newestWillBeWatched) return;
  newestWillBeWatched = true;
  setImmediate(() => {
    newestWillBeWatched = false;
    watchNewest();
  }).unref();
}

/** @internal Has a new guard watched from when it is still held after the next one, or after the event loop has turned. */
export function watchLater(guard: Guard): void {
  if (newest?.held) newest.watch();
  newest = guard;
  prepareToWatch();
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
  readonly #owner: GuardOwner;
  #watched = false;
  #meantUntilExit = false;
  #held = true;

  constructor(
    owner: GuardOwner,
    /** For the owner: which open file, how it is locked, and where it came from. */
    readonly handle: number,
    readonly exclusive: boolean,
    readonly file: LockFile,
    /** Null: nothing was recorded, nor read. */
    readonly grant: Grant | null,
  ) {
    this.#owner = owner;
  }

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

  release(): void {
    this.#end(false);
  }

  /** As if it had never been granted: for one of which its caller has not heard yet. */
  withdraw(): void {
    this.#end(true);
  }

  #end(undelivered: boolean): void {
    if (!this.#held) return;
    this.#held = false;
    this.#owner.release(this, undelivered); // first: others wait for it
    if (this.#watched) forgotten.unregister(this);
    if (this.#meantUntilExit) untilExit?.delete(this);
  }

  /** Says in the record that the lock is released, and keeps it to the very end. */
  recordRelease(): void {
    if (this.#held && this.grant !== null) this.file.recordRelease(this.handle, this.grant, false);
  }

  untilExit(): void {
    this.#meantUntilExit = true;
    if (this.#watched) forgotten.unregister(this);
    this.#watched = false;
    if (this.#held && this.fencingToken !== null) releaseAtExit(this);
  }

  /** Warn if this guard is collected from now on. */
  watch(): void {
    if (this.#watched || this.#meantUntilExit) return;
    this.#watched = true;
    forgotten.register(this, this.path, this);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}

/** @internal A guard that nobody but its caller knows of. */
export const newGuard: NewGuard = (owner, handle, exclusive, file, grant) =>
  new Guard(owner, handle, exclusive, file, grant);
