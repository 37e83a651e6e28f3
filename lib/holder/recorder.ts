import type { KernelWaits, WaitOwner } from '../kernel-waits.js';
import type { Native } from '../native.js';
import { holderOf, isOurs, nextFencingToken, OwnRecord, parseRecord, RECORD_LIMIT } from './holder-record.js';
import type { LockHolder } from './lock-holder.js';

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

/** Reads and writes the records of the holders in one lock file, through the locked file itself. */
export class Recorder {
  /** The last record that was written here: usually the one that is read the next time. */
  #record: OwnRecord | undefined;

  constructor(
    private readonly path: string,
    private readonly native: Native,
  ) {}

  /**
   * Reads who held the exclusive lock before, and writes that this process does now. Never fails: the
   * record is a hint, and what cannot be written, on a full disk say, is not recorded.
   */
  recordGrant(handle: number): Grant {
    const grant = this.draftRecord(handle, this.native.read(handle, scratch, 0), scratch);
    if (grant.fencingToken === null) return grant;
    const own = this.#record as OwnRecord;
    return this.native.write(handle, own.bytes, own.length) === own.length ? grant : unrecorded(grant);
  }

  /** The same, but a thread writes: the wait ends with `GRANTED` or `UNRECORDED`. */
  startRecord(waits: KernelWaits, owner: WaitOwner, handle: number, grant: Grant): void {
    const own = this.#record as OwnRecord;
    const bytes = Buffer.from(own.bytes.subarray(0, own.length));
    const released = this.#released(grant);
    const undo = grant.previousContent ?? released.bytes.subarray(0, released.length);
    waits.start(owner, handle, (native) => native.startRecord(handle, bytes, undo));
    own.held = true; // so that the next one reads which of the two is in the file
  }

  /** What a grant is told by the first `count` bytes of the file, and what {@link startRecord} is to write. */
  draftRecord(handle: number, count: number, bytes: Buffer): Grant {
    try {
      return this.#draftRecord(handle, count, bytes);
    } catch {
      return NOTHING_RECORDED; // the program has replaced Date, or worse; the lock is granted all the same
    }
  }

  #draftRecord(handle: number, count: number, bytes: Buffer): Grant {
    this.#record ??= new OwnRecord();
    const own = this.#record;
    let previousHolder: LockHolder | null = null;
    let previousContent: Buffer | null = null;
    let previousToken = own.fencingToken;
    if (count <= 0 || own.held || !own.equals(bytes, count)) {
      const content = bytes.subarray(0, Math.max(0, count));
      if (count < 0 || !isOurs(content) || !this.#isBlankBeyond(handle, content)) return NOTHING_RECORDED;
      const record = parseRecord(content);
      if (record?.held) {
        previousHolder = holderOf(record);
        previousContent = Buffer.from(content);
      }
      previousToken = record?.fencingToken ?? 0n;
    }
    const clock = this.native.wallClock();
    const acquiredAt = toIsoString(Math.floor(clock / 1000));
    const fencingToken = nextFencingToken(previousToken, clock);
    if (fencingToken === null) return { ...NOTHING_RECORDED, previousHolder };
    own.encode(fencingToken, acquiredAt, count);
    return { previousHolder, previousContent, fencingToken, acquiredAt, length: own.length };
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
      const count = this.native.read(handle, rest, position);
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
    const putBack = undelivered ? grant.previousContent : null;
    const own = this.#released(grant);
    const length = putBack === null ? own.length : putBack.length;
    if (this.native.write(handle, putBack ?? own.bytes, length) === length) return;
    process.emitWarning(
      `Could not record the release of '${this.path}': its next holder will be told that the lock was abandoned`,
      'LockWarning',
    );
  }

  #released(grant: Grant): OwnRecord {
    this.#record ??= new OwnRecord();
    const own = this.#record;
    // It can be another guard's: there are two guards if a holder has replaced the file.
    if (own.fencingToken !== grant.fencingToken && grant.fencingToken !== null) {
      own.encode(grant.fencingToken, grant.acquiredAt, grant.length);
    }
    own.setState('released');
    return own;
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

/** The same grant, where the record could not be written. */
export function unrecorded(grant: Grant): Grant {
  return { ...grant, fencingToken: null };
}
