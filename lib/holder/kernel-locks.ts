import { closeSync, openSync, readSync } from 'node:fs';
import { kernelWaitsOf } from '../kernel-waits.js';
import type { LockMechanism, LockMode } from '../lock-mode.js';
import { isLocalDevice } from '../mounts.js';
import { GRANTED, loadNative } from '../native.js';
import { seesEveryProcess } from './process-info.js';

/**
 * The kernel's table of held locks (proc(5), /proc/locks), and how far it can be trusted for a file.
 *
 * A line names a process, and the file by device and inode:
 * `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; `->` after the number marks one that waits. The
 * lines of processes in other pid namespaces are left out. An open-file-description lock
 * (OFDLCK) has no process: -1.
 */
const TABLE = '/proc/locks';
/** Elsewhere there is none; and under Wine it is that of the system below, where Windows' locks are others. */
const HAS_TABLE = process.platform === 'linux';
const LINE = /^\d+: *(-> )?(FLOCK|OFDLCK|POSIX) +\S+ +(READ|WRITE) +(-?\d+)/;
/** In bytes. The kernel fills a page at a time, and more only for a lock with many waiters. */
const PIECE = 64 * 1024;

/** A lock in the table, or a request for one. The pid is -1 where the kernel knows none. */
interface KernelLock {
  pid: number;
  mode: LockMode;
  waiting: boolean;
}

/** The table as it was at one time, for all who asked then. */
export interface LockTable {
  readonly text: string;
  /**
   * Whether it was read in one piece. Between two pieces the kernel only counts its entries: when some before them
   * were removed, as many that were there all the time are left out.
   */
  readonly inOnePiece: boolean;
  /** The commands of holders that were looked up, by their pids: thousands of locks have few holders. */
  readonly commands: Map<number, string | null>;
}

/** What makes two files the same file, as fs.Stats gives it. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** A file's device (major:minor, decimal) and how the table names it. */
export function identify({ dev, ino }: FileIdentity): { device: string; name: string } {
  // As gnu_dev_major and gnu_dev_minor of <sys/sysmacros.h> take a device number apart.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const hex = (part: bigint) => part.toString(16).padStart(2, '0');
  return { device: `${major}:${minor}`, name: ` ${hex(major)}:${hex(minor)}:${ino} ` };
}

/**
 * Whether a lock that is not in the table is not held: no lock on this device is hidden by a pid namespace, held
 * on another machine, or listed under other numbers.
 */
export function isTableComplete(device: string): boolean {
  return seesEveryProcess() && isLocalDevice(device);
}

/** The entries of the table for a file, if they are of locks that conflict with those of the mechanism. */
export function* locksIn({ text }: LockTable, name: string, mechanism: LockMechanism): Generator<KernelLock> {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    const [, arrow, kind, access, pid] = LINE.exec(text.slice(text.lastIndexOf('\n', at) + 1, at)) ?? [];
    // POSIX locks conflict with OFDLCK ones.
    if (kind === undefined || (mechanism === 'flock') !== (kind === 'FLOCK')) continue;
    yield { pid: Number(pid), mode: access === 'WRITE' ? 'exclusive' : 'shared', waiting: arrow !== undefined };
  }
}

function tableOf(pieces: readonly string[]): LockTable {
  return { text: pieces.join(''), inOnePiece: pieces.length === 1, commands: new Map() };
}

/** Null where there is none (another system, /proc not mounted or not permitted). Can block for 10 ms. */
export function readTableSync(): LockTable | null {
  if (!HAS_TABLE) return null;
  try {
    const file = openSync(TABLE, 'r');
    try {
      const buffer = Buffer.allocUnsafe(PIECE);
      const pieces: string[] = [];
      for (;;) {
        const count = readSync(file, buffer, 0, PIECE, null);
        if (count === 0) return tableOf(pieces);
        pieces.push(buffer.toString('latin1', 0, count));
      }
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

let reading: Promise<LockTable | null> | undefined;

/**
 * The same off this thread. The kernel stops all locking of files while it writes the table, and waits
 * for every processor to notice first (percpu_down_write in fs/locks.c): 10 ms, and more with
 * thousands of locks. So those who ask meanwhile share one reading.
 */
export function readTable(): Promise<LockTable | null> {
  reading ??= readTableOffThread()
    .catch(() => null)
    .finally(() => {
      reading = undefined;
    });
  return reading;
}

/**
 * By a thread of the addon: the pool of libuv may be busy with what the holder needs before it can release, and where
 * none of its threads can be started, its first use ends the process.
 */
async function readTableOffThread(): Promise<LockTable | null> {
  if (!HAS_TABLE) return null;
  const native = loadNative(TABLE);
  const { outcome, content } = await kernelWaitsOf(native).ask((_, handle) => native.startReadAll(handle, TABLE));
  if (outcome !== GRANTED || content === undefined) return null;
  return { text: content.toString('latin1', 8), inOnePiece: content.readBigUInt64LE(0) === 1n, commands: new Map() };
}
