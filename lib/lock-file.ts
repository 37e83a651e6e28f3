import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fromFileSystemError, systemError } from './errors.js';
import { BUSY, failure, GRANTED, loadNative, type Native, REPLACED } from './native.js';
import type { LockMechanism } from './options.js';

const MOST_MISMATCHES = 100;

/**
 * How one FileLock opens its file and tries to lock it, and the idle descriptor that it keeps between
 * acquisitions. Open files are known by their handles (lib/native.ts).
 */
export class LockFile {
  readonly #native: Native;
  /** An open and unlocked file, or -1. */
  #kept = -1;

  constructor(
    readonly path: string,
    readonly mechanism: LockMechanism,
    readonly fileMode: number,
    readonly createParents: boolean,
    private keepOpen: boolean,
  ) {
    this.#native = loadNative(path);
  }

  /**
   * Tries once, with the open file `handle` or else (-1) one that is opened here. Gives the handle of
   * a locked file, or, when somebody else holds the lock, the complement (~) of an open one's. A lock
   * on a file that the path no longer names is no attempt: it starts over on the new file.
   *
   * The parents are made at the first opening only: once a file was there, somebody else removed its
   * directory, and it is not for a waiter to bring it back.
   */
  attempt(exclusive: boolean, handle: number, createParents: boolean): number {
    let file = handle;
    let mayCreate = createParents;
    for (let mismatches = 0; mismatches < MOST_MISMATCHES; mismatches++) {
      if (file < 0 && this.#kept >= 0) {
        file = this.#kept;
        this.#kept = -1;
      } else if (file < 0) {
        file = this.#open(exclusive, mayCreate);
        mayCreate = false;
      }
      const outcome = this.#native.tryLock(file, exclusive);
      if (outcome === GRANTED) return file;
      if (outcome === BUSY) return ~file;
      if (outcome !== REPLACED) throw failure(outcome, this.path);
      file = -1;
    }
    throw systemError('stat', constants.errno.ESTALE, this.path);
  }

  #open(exclusive: boolean, createParents: boolean): number {
    const fcntl = this.mechanism === 'fcntl';
    for (let mayCreate = createParents; ; mayCreate = false) {
      const file = this.#native.open(this.path, this.fileMode, fcntl ? 1 : 0, fcntl && exclusive);
      if (file >= 0) return file;
      const error = failure(file, this.path);
      if (error.code !== 'ENOENT' || !mayCreate) throw error;
      try {
        mkdirSync(path.dirname(this.path), { recursive: true });
      } catch (cause) {
        throw fromFileSystemError(cause as NodeJS.ErrnoException, this.path);
      }
    }
  }

  /** Unlocks a locked file, and keeps or closes it. Closes it too if unlocking fails, with a warning. */
  free(handle: number): void {
    let result: number;
    if (this.keepOpen) {
      result = this.#native.unlock(handle);
      if (result === 0) this.putAway(handle);
      else this.#native.close(handle);
    } else {
      result = this.#native.close(handle);
    }
    if (result === 0) return;
    const { message } = failure(result, this.path);
    process.emitWarning(`${message}; the file was closed instead of unlocked`, 'LockWarning');
  }

  /** Keeps an open and unlocked file for the next attempt, or closes it. */
  putAway(handle: number): void {
    // An exclusive fcntl lock needs a file that is open for writing, and a kept one must serve both modes.
    const serves = this.mechanism === 'flock' || this.#native.isWritable(handle);
    if (this.keepOpen && this.#kept < 0 && serves) this.#kept = handle;
    else this.#native.close(handle);
  }

  /** Closes a file, locked or not. */
  close(handle: number): void {
    this.#native.close(handle);
  }

  /** Closes the kept file, and keeps none from now on. */
  keepNone(): void {
    this.keepOpen = false;
    if (this.#kept >= 0) this.#native.close(this.#kept);
    this.#kept = -1;
  }
}
