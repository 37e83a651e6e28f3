import type { LockHolder } from './lock-holder.js';
import { isRunning, type ProcessIdentity, thisProcess } from './process-info.js';

/**
 * Who holds the lock, or held it last, as written into the lock file: docs/lock-file-format.md. A hint
 * for people and for noticing crashes, never the lock. Everything here is pure, except whether a process
 * still runs.
 */
export interface HolderRecord extends ProcessIdentity {
  held: boolean;
  fencingToken: bigint;
  command: string;
  acquiredAt: Date;
}

/** The longest record, in bytes. */
export const RECORD_LIMIT = 1024;
const MAGIC = 'native-file-lock ';
const FIRST_LINE = `${MAGIC}1`;
/** Of every record. */
export const FIRST_BYTE = MAGIC.charAt(0);
/** Together with the other fields, at their longest, this fits into the limit. */
const LONGEST_COMMAND = 512;
const LONGEST_HOSTNAME = 128;
const LARGEST_TOKEN = 2n ** 63n - 1n;
const LARGEST_PID = 2 ** 31 - 1;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 as in zlib and PNG, going on from `crc`. Node's own came with 20.15, later than the oldest Node that is supported. */
function crc32(bytes: Buffer, from: number, to: number, crc = 0): number {
  let value = ~crc;
  for (let index = from; index < to; index++) {
    value = (CRC_TABLE[(value ^ (bytes[index] ?? 0)) & 0xff] ?? 0) ^ (value >>> 8);
  }
  return ~value >>> 0;
}

/** Text for one line: control characters are encoded as in a URL, and it is cut to `limit` bytes. */
function oneLine(text: string, limit: number): string {
  const line = text.replace(/[\p{Cc}%]/gu, encodeURIComponent);
  const bytes = Buffer.from(line);
  if (bytes.length <= limit) return line;
  // Cut before a character, and not inside an escape.
  return bytes
    .toString('utf8', 0, limit)
    .replace(/\uFFFD+$/, '')
    .replace(/%[0-9A-F]?$/, '');
}

function unescapeLine(line: string): string {
  try {
    return decodeURIComponent(line);
  } catch {
    return line;
  }
}

/** What all records of this process begin with, encoded and summed once. */
let beginning: { bytes: Buffer; crc: number } | undefined;

function beginningOfRecords(): { bytes: Buffer; crc: number } {
  if (beginning === undefined) {
    const { pid, startTime, bootId, pidNamespace, hostname, command } = thisProcess();
    const bytes = Buffer.from(
      `${FIRST_LINE}\npid ${pid}\nstart ${startTime}\nboot ${bootId}\npidns ${pidNamespace}\n` +
        `host ${oneLine(hostname, LONGEST_HOSTNAME)}\ncommand ${oneLine(command, LONGEST_COMMAND)}\n`,
    );
    beginning = { bytes, crc: crc32(bytes, 0, bytes.length) };
  }
  return beginning;
}

const STATE = { held: 'state held    \nchecksum ', released: 'state released\nchecksum ' };
/** The line of the state, to which the checksum extends. */
const STATE_LENGTH = 'state released\n'.length;
const HEX = Buffer.from('0123456789abcdef');

/** The record of a lock that this process holds, or has held. Made at the grant; the release only changes its state. */
export class OwnRecord {
  readonly bytes = Buffer.alloc(RECORD_LIMIT);
  length = 0;
  fencingToken = 0n;
  held = false;
  #stateAt = 0;
  #crcBeforeState = 0;

  /** Says `held`. Filled up with spaces to `atLeast` bytes, to cover a longer record that was there before. */
  encode(fencingToken: bigint, acquiredAt: string, atLeast: number): void {
    const { bytes, crc } = beginningOfRecords();
    const start = bytes.copy(this.bytes);
    this.#stateAt = start + this.bytes.write(`acquired ${acquiredAt}\ntoken ${fencingToken}\n`, start, 'latin1');
    this.#crcBeforeState = crc32(this.bytes, start, this.#stateAt, crc);
    this.fencingToken = fencingToken;
    const end = this.setState('held');
    this.length = Math.max(end, atLeast);
    if (end === this.length) return;
    this.bytes.fill(' ', end, this.length - 1);
    this.bytes.write('\n', this.length - 1);
  }

  /** Returns where the record ends. */
  setState(state: 'held' | 'released'): number {
    this.held = state === 'held';
    let at = this.#stateAt + this.bytes.write(STATE[state], this.#stateAt, 'latin1');
    const crc = crc32(this.bytes, this.#stateAt, this.#stateAt + STATE_LENGTH, this.#crcBeforeState);
    for (let shift = 28; shift >= 0; shift -= 4) this.bytes[at++] = HEX[(crc >>> shift) & 15] as number;
    return at + this.bytes.write('\n', at, 'latin1');
  }

  /** Whether the first `count` bytes of `content` are this record. */
  equals(content: Buffer, count: number): boolean {
    return count === this.length && content.compare(this.bytes, 0, count, 0, count) === 0;
  }
}

/** Whether a file with these first bytes is ours to write: empty, all NUL, or begun with our magic. */
export function isOurs(content: Buffer): boolean {
  return content.toString('latin1', 0, MAGIC.length) === MAGIC || content.every((byte) => byte === 0);
}

/** The record at the start of a file; null when there is none, or when it is damaged. Never throws. */
export function parseRecord(content: Buffer): HolderRecord | null {
  const end = content.indexOf('\nchecksum ');
  if (end === -1 || end >= RECORD_LIMIT) return null;
  const checksum = content.toString('latin1', end + 10, end + 19);
  if (
    checksum !==
    `${crc32(content, 0, end + 1)
      .toString(16)
      .padStart(8, '0')}\n`
  )
    return null;
  const [first, ...lines] = content.toString('utf8', 0, end).split('\n');
  if (first !== FIRST_LINE) return null;
  const fields = new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));

  // Whoever can write the file can also forge a checksum.
  const number = (name: string) => {
    const digits = fields.get(name);
    return digits !== undefined && /^\d{1,20}$/.test(digits) ? BigInt(digits) : -1n;
  };
  const state = fields.get('state')?.trimEnd();
  const fencingToken = number('token');
  const pid = Number(number('pid'));
  const acquiredAt = new Date(fields.get('acquired') ?? '');
  const [startTime, pidNamespace] = [number('start'), number('pidns')];
  const [bootId, hostname, command] = [fields.get('boot'), fields.get('host'), fields.get('command')];
  if (state !== 'held' && state !== 'released') return null;
  if (fencingToken < 0n || fencingToken > LARGEST_TOKEN || startTime < 0n || pidNamespace < 0n) return null;
  if (pid < 1 || pid > LARGEST_PID || Number.isNaN(acquiredAt.getTime())) return null;
  if (bootId === undefined || hostname === undefined || command === undefined) return null;
  return {
    held: state === 'held',
    fencingToken,
    pid,
    startTime,
    bootId,
    pidNamespace,
    hostname: unescapeLine(hostname),
    command: unescapeLine(command),
    acquiredAt,
  };
}

/** The recorded holder, as users see it. */
export function holderOf(record: HolderRecord): LockHolder {
  const running = isRunning(record);
  return {
    pid: record.pid,
    hostname: record.hostname,
    command: record.command,
    acquiredAt: record.acquiredAt,
    running,
    thisProcess: running === true && record.pid === process.pid,
  };
}

/**
 * The token of the next grant: greater than the last one, and than that of a file that was removed
 * before. Hence the clock's microseconds: in a coarser unit a token could be ahead of the clock. Null: the last one is the
 * largest that there is.
 */
export function nextFencingToken(previous: bigint, wallClockMicroseconds: number): bigint | null {
  const clock = BigInt(wallClockMicroseconds);
  if (previous < clock) return clock;
  return previous < LARGEST_TOKEN ? previous + 1n : null;
}
