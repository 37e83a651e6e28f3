import type { LockHolder } from './lock-holder.js';
import { isRunning, type ProcessIdentity, thisProcess } from './process-info.js';

/**
 * Who holds the lock, or held it last, as written into the lock file: docs/lock-file-format.md. A hint
 * for people and for noticing crashes, never the lock. Everything here is pure but the question
 * whether a process still runs.
 */
export interface HolderRecord extends ProcessIdentity {
  held: boolean;
  fencingToken: bigint;
  command: string;
  acquiredAt: Date;
}

/** A record is never longer, in bytes. */
export const RECORD_LIMIT = 1024;
const MAGIC = 'native-file-lock ';
const FIRST_LINE = `${MAGIC}1`;
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

/** One line's worth of text: control characters as in a URL, cut to so many bytes. */
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

/**
 * Writes the record of a lock that this process holds, or has held, into `buffer`; gives its length.
 * Filled up with spaces to `atLeast` bytes, to cover a longer record that was there before.
 */
export function encodeRecord(
  buffer: Buffer,
  held: boolean,
  fencingToken: bigint,
  acquiredAt: string,
  atLeast: number,
): number {
  const { bytes, crc } = beginningOfRecords();
  const start = bytes.copy(buffer);
  const state = held ? 'held    ' : 'released';
  const end = start + buffer.write(`acquired ${acquiredAt}\ntoken ${fencingToken}\nstate ${state}\n`, start, 'latin1');
  const checksum = crc32(buffer, start, end, crc).toString(16).padStart(8, '0');
  const length = end + buffer.write(`checksum ${checksum}\n`, end, 'latin1');
  if (length >= atLeast) return length;
  buffer.fill(' ', length, atLeast - 1);
  buffer.write('\n', atLeast - 1);
  return atLeast;
}

/** Whether a file with these first bytes is ours to write: empty, all NUL, or begun with our magic. */
export function isOurs(content: Buffer): boolean {
  return content.toString('latin1', 0, MAGIC.length) === MAGIC || content.every((byte) => byte === 0);
}

/** The record that a file begins with; null when there is none, or a damaged one. Never throws. */
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
 * before. Hence the clock's microseconds: in a coarser unit a token could be ahead of the clock. Null: somebody has
 * written the largest one, and there is none after it.
 */
export function nextFencingToken(previous: bigint, wallClockMicroseconds: number): bigint | null {
  const clock = BigInt(wallClockMicroseconds);
  if (previous < clock) return clock;
  return previous < LARGEST_TOKEN ? previous + 1n : null;
}
