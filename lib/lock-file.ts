import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fromFileSystemError, type LockError, lockLost, systemError, unlockWarning } from './errors.js';
import { holderOf, isOurs, nextFencingToken, OwnRecord, parseRecord, RECORD_LIMIT } from './holder/holder-record.js';
import type { LockHolder } from './holder/lock-holder.js';
import type { LockMechanism } from './lock-mode.js';
import { BUSY, failure, GRANTED, loadNative, type Native, REPLACED } from './native.js';

const MOST_MISMATCHES = 100;
const MOST_TRIES_TO_CREATE = 100;

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

/** What the record said when a lock was granted, and what was written into it then. */
export interface Grant {
  /** Set when the last recorded holder ended without releasing. */
  readonly previousHolder: LockHolder | null;
  /** Null: nothing was recorded. */
  readonly fencingToken: bigint | null;
  /** The record of the previous holder. */
  readonly previousContent: Buffer | null;
  readonly acquiredAt: string;
  readonly length: number;
}

const NOTHING_RECORDED: Grant = {
  previousHolder: null,
  fencingToken: null,
  previousContent: null,
  acquiredAt: '',
  length: 0,
};
/** A blank file of more bytes than this is not a lock file. */
const LARGEST_BLANK = 1024 * 1024;

/** For reading a record: only one is read at a time. */
const scratch = Buffer.alloc(RECORD_LIMIT);

/**
 * How one FileLock opens its file and tries to lock it, and the idle descriptor that it keeps between
 * acquisitions. Open files are known by their handles (lib/native.ts).
 */
export class LockFile {
  readonly #native: Native;
  /** An open and unlocked file, or -1. */
  #kept = -1;
  /** The last record that was written here: usually the one that is read the next time. */
  #record: OwnRecord | undefined;

  constructor(
    readonly path: string,
    readonly mechanism: LockMechanism,
    readonly settings: LockFileSettings,
  ) {
    this.#native = loadNative(path);
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
      if (file < 0 && this.#kept >= 0) {
        file = this.#kept;
        this.#kept = -1;
      } else if (file < 0) {
        file = this.#open(exclusive, mayCreate);
        mayCreate = false;
      }
      const outcome = this.#native.tryLock(file, exclusive);
      if (outcome === GRANTED || outcome === BUSY) return { granted: outcome === GRANTED, handle: file };
      if (outcome !== REPLACED) throw failure(outcome, this.path);
      file = -1;
    }
    throw systemError('stat', constants.errno.ESTALE, this.path);
  }

  #open(exclusive: boolean, createParents: boolean): number {
    const fcntl = this.mechanism === 'fcntl';
    for (let tries = 1; ; tries++) {
      const file = this.#native.open(this.path, this.settings.fileMode, fcntl ? 1 : 0, fcntl && exclusive);
      if (file >= 0) return file;
      const error = failure(file, this.path);
      // Another process may remove a directory just after it was made here, and again.
      if (error.code !== 'ENOENT' || !createParents || tries === MOST_TRIES_TO_CREATE) throw error;
      try {
        makeDirectory(path.dirname(this.path));
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && tries < MOST_TRIES_TO_CREATE) continue;
        throw fromFileSystemError(cause as NodeJS.ErrnoException, this.path);
      }
    }
  }

  /**
   * Reads who held the exclusive lock before, and writes that this process does now. Never fails: the
   * record is a hint, and what cannot be written, on a full disk say, is not recorded.
   */
  recordGrant(handle: number): Grant {
    try {
      return this.#recordGrant(handle);
    } catch {
      return NOTHING_RECORDED; // the program has replaced Date, or worse; the lock is granted all the same
    }
  }

  #recordGrant(handle: number): Grant {
    this.#record ??= new OwnRecord();
    const own = this.#record;
    const count = this.#native.read(handle, scratch, 0);
    let previousHolder: LockHolder | null = null;
    let previousContent: Buffer | null = null;
    let previousToken = own.fencingToken;
    if (count <= 0 || own.held || !own.equals(scratch, count)) {
      const content = scratch.subarray(0, Math.max(0, count));
      if (count < 0 || !isOurs(content) || !this.#isBlankBeyond(handle, content)) return NOTHING_RECORDED;
      const record = parseRecord(content);
      if (record?.held) {
        previousHolder = holderOf(record);
        previousContent = Buffer.from(content);
      }
      previousToken = record?.fencingToken ?? 0n;
    }
    const clock = this.#native.wallClock();
    const acquiredAt = toIsoString(Math.floor(clock / 1000));
    const fencingToken = nextFencingToken(previousToken, clock);
    if (fencingToken === null) return { ...NOTHING_RECORDED, previousHolder };
    own.encode(fencingToken, acquiredAt, count);
    const { length } = own;
    const recorded = this.#native.write(handle, own.bytes, length) === length;
    return { previousHolder, previousContent, fencingToken: recorded ? fencingToken : null, acquiredAt, length };
  }

  /**
   * Whether the rest of a file that begins with NULs is blank, too. Read from the locked file itself: its path can
   * name another by now.
   */
  #isBlankBeyond(handle: number, content: Buffer): boolean {
    if (content.length < RECORD_LIMIT || content[0] !== 0) return true;
    const rest = Buffer.alloc(64 * 1024);
    let position = content.length;
    while (position <= LARGEST_BLANK) {
      const count = this.#native.read(handle, rest, position);
      if (count <= 0) return count === 0;
      if (!rest.subarray(0, count).every((byte) => byte === 0)) return false;
      position += count;
    }
    return false;
  }

  /**
   * Marks the record released; or, if the grant was not delivered, puts back the record that said who had
   * abandoned the lock. To be called before the unlock.
   */
  recordRelease(handle: number, grant: Grant, undelivered: boolean): void {
    if (grant.fencingToken === null) return;
    this.#record ??= new OwnRecord();
    const own = this.#record;
    // It can be another guard's: there are two guards if a holder has replaced the file.
    if (own.fencingToken !== grant.fencingToken) own.encode(grant.fencingToken, grant.acquiredAt, grant.length);
    own.setState('released');
    const putBack = undelivered ? grant.previousContent : null;
    const length = putBack === null ? own.length : putBack.length;
    if (this.#native.write(handle, putBack ?? own.bytes, length) === length) return;
    process.emitWarning(
      `Could not record the release of '${this.path}': its next holder will be told that the lock was abandoned`,
      'LockWarning',
    );
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

let lastTime = 0;
let lastText = '';

/** A hot loop asks many times in the same millisecond, and the text costs as much as a system call. */
function toIsoString(milliseconds: number): string {
  if (milliseconds !== lastTime) lastText = new Date(milliseconds).toISOString();
  lastTime = milliseconds;
  return lastText;
}

/** Not Node's recursive mkdir, which reports ENOENT for a read-only file system. */
function makeDirectory(directory: string, withParents = true): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || !withParents) throw error;
    makeDirectory(path.dirname(directory));
    makeDirectory(directory, false); // still ENOENT: a dangling link stands in the way
  }
}
