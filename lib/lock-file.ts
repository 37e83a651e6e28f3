import { type LockError, lockLost, replacedTooOften, unlockWarning } from './errors.js';
import { Recorder } from './holder/recorder.js';
import { type KernelWaits, kernelWaitsOf, type WaitOwner } from './kernel-waits.js';
import type { LockMechanism } from './lock-mode.js';
import { BUSY, failure, GRANTED, loadNative, type Native, REPLACED, toNativePath } from './native.js';

const MOST_MISMATCHES = 100;

/** The result of one attempt. `handle`: the open file, locked if it was granted. */
export interface Attempt {
  readonly granted: boolean;
  readonly handle: number;
}

export interface LockFileSettings {
  readonly fileMode: number;
  readonly createParents: boolean;
  keepOpen: boolean;
  readonly recordHolder: boolean;
}

/**
 * How one FileLock opens its file and tries to lock it, and the idle descriptor that it keeps between
 * acquisitions. Open files are known by their handles (lib/native.ts).
 */
export class LockFile {
  readonly #native: Native;
  readonly #nativePath: string;
  /** An open and unlocked file, or -1. */
  #kept = -1;
  /** Who holds it, written into it. Made with the first lock that is recorded. */
  #recorder: Recorder | undefined;

  constructor(
    readonly path: string,
    readonly mechanism: LockMechanism,
    readonly settings: LockFileSettings,
  ) {
    this.#native = loadNative(path);
    this.#nativePath = toNativePath(path);
  }

  /**
   * Tries once, with the open file `handle` or else (-1) one that is opened here. A lock on a file that
   * the path no longer names is no attempt: it starts over on the new file.
   *
   * The parents are made at the first opening only: once a file was there, somebody else removed its
   * directory, and it is not for a waiter to bring it back.
   */
  attempt(exclusive: boolean, handle: number, createParents: boolean): Attempt {
    let file = handle;
    let mayCreate = createParents;
    for (let mismatches = 0; mismatches < MOST_MISMATCHES; mismatches++) {
      if (file < 0) file = this.#takeKept();
      if (file < 0) {
        file = this.#open(exclusive, mayCreate);
        mayCreate = false;
      }
      const outcome = this.#native.tryLock(file, exclusive);
      if (outcome === GRANTED || outcome === BUSY) return { granted: outcome === GRANTED, handle: file };
      if (outcome !== REPLACED) throw failure(outcome, this.path);
      file = -1;
    }
    throw replacedTooOften(this.path);
  }

  /** The kept file, which is the caller's now; or -1. */
  #takeKept(): number {
    const file = this.#kept;
    this.#kept = -1;
    return file;
  }

  #open(exclusive: boolean, createParents: boolean): number {
    const file = this.#native.open(
      this.#nativePath,
      this.settings.fileMode,
      this.#fcntl,
      this.#mustWrite(exclusive),
      createParents,
    );
    if (file < 0) throw failure(file, this.path);
    return file;
  }

  get #fcntl(): number {
    return this.mechanism === 'fcntl' ? 1 : 0;
  }

  #mustWrite(exclusive: boolean): boolean {
    return this.mechanism === 'fcntl' && exclusive;
  }

  /**
   * Starts a wait that makes such an attempt, and more of them until `timeout` milliseconds have passed, on a thread.
   * Returns the handle of its file.
   */
  startAttempt(
    waits: KernelWaits,
    owner: WaitOwner,
    handle: number,
    exclusive: boolean,
    createParents: boolean,
    timeout: number,
  ): number {
    let file = handle < 0 ? this.#takeKept() : handle;
    if (file < 0) file = this.#native.reserve();
    const { fileMode } = this.settings;
    const readsRecord = exclusive && this.settings.recordHolder;
    const mustWrite = this.#mustWrite(exclusive);
    waits.start(owner, file, (native) =>
      native.startOpening(
        file,
        exclusive,
        timeout,
        readsRecord,
        this.#nativePath,
        fileMode,
        this.#fcntl,
        mustWrite,
        createParents,
      ),
    );
    return file;
  }

  get recorder(): Recorder {
    this.#recorder ??= new Recorder(this.path, this.#native);
    return this.#recorder;
  }

  /** Unlocks a locked file, and keeps or closes it. `exposed`: others may have its descriptor, so it is closed. */
  free(handle: number, exposed: boolean): void {
    if (this.settings.keepOpen && !exposed && this.#kept < 0) this.#kept = this.unlock(handle);
    else this.#warnIfFailed(this.#native.close(handle));
  }

  /** Unlocks a locked file. Returns its handle, or -1 if it was closed: that failed, or it cannot be locked in both modes. */
  unlock(handle: number): number {
    const result = this.#native.unlock(handle);
    this.#warnIfFailed(result);
    if (result === 0 && this.#servesBothModes(handle)) return handle;
    this.#native.close(handle);
    return -1;
  }

  #warnIfFailed(result: number): void {
    if (result === 0) return;
    const error = failure(result, this.path);
    const message =
      error.syscall === 'fstat'
        ? `The descriptor of the lock on '${this.path}' was closed or replaced by other code. It was left alone`
        : unlockWarning(error);
    process.emitWarning(message, 'LockWarning');
  }

  /** An exclusive fcntl lock needs a file that is open for writing. */
  #servesBothModes(handle: number): boolean {
    return this.mechanism === 'flock' || this.#native.isWritable(handle);
  }

  /** Keeps an open and unlocked file for the next attempt, or closes it. */
  keepOrClose(handle: number): void {
    if (this.settings.keepOpen && this.#kept < 0 && this.#servesBothModes(handle)) this.#kept = handle;
    else this.#native.close(handle);
  }

  /** The error of a lock that is lost, or of a check that failed; null when it is not lost. */
  verify(handle: number): LockError | null {
    const result = this.#native.verify(handle);
    if (result === GRANTED) return null;
    return result === REPLACED ? lockLost(this.path) : failure(result, this.path);
  }

  /** The same, where asking the server must not block this thread: null also where that is not known. */
  async findLoss(handle: number): Promise<LockError | null> {
    const { outcome } = await kernelWaitsOf(this.#native).ask((native, own) => native.startVerify(own, handle));
    return outcome === REPLACED ? lockLost(this.path) : null;
  }

  /** Whether an open file is on a server. */
  isOnNetwork(handle: number): boolean {
    return this.#native.isOnNetwork(handle);
  }

  /** The descriptor of a locked file. From now on the file must be closed when it is unlocked. */
  descriptor(handle: number): number {
    return this.#native.descriptor(handle);
  }

  /** Closes a file, locked or not. */
  close(handle: number): void {
    this.#native.close(handle);
  }

  /** Closes the kept file, and keeps none from now on. */
  keepNone(): void {
    this.settings.keepOpen = false;
    if (this.#kept >= 0) this.#native.close(this.#kept);
    this.#kept = -1;
  }
}
