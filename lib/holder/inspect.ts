import { type BigIntStats, closeSync, constants as fs, lstatSync, openSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { fromFileSystemError, LockError, notAFile, systemError } from '../errors.js';
import type { LockMechanism } from '../lock-mode.js';
import { type HolderRecord, holderOf, parseRecord, RECORD_LIMIT } from './holder-record.js';
import {
  findLock,
  identify,
  isTableComplete,
  type KernelLock,
  type LockTable,
  readTable,
  readTableSync,
} from './kernel-locks.js';
import type { LockHolder, LockReport } from './lock-holder.js';
import { commandOfProcess, isRunning, thisProcess } from './process-info.js';

export type { LockReport };

/** The record in a lock file; null when there is none, or none that can be read. */
function readRecord(path: string): HolderRecord | null {
  try {
    const file = openSync(path, fs.O_RDONLY | fs.O_NOFOLLOW | fs.O_NONBLOCK);
    try {
      const content = Buffer.alloc(RECORD_LIMIT);
      return parseRecord(content.subarray(0, readSync(file, content, 0, RECORD_LIMIT, 0)));
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

/** The holder that the kernel names, with what the record knows of it. Where the kernel names none, the record's word is taken. */
function holderOfLock(lock: KernelLock, record: HolderRecord | null, table: LockTable | null): LockHolder | null {
  if (record?.held && (lock.pid === record.pid || lock.pid < 1)) {
    const running = isRunning(record);
    if (running || (running === null && lock.pid < 1)) return holderOf(record);
  }
  if (lock.pid < 1) return null;
  const isThisProcess = lock.pid === process.pid;
  const command = isThisProcess ? thisProcess().command : commandIn(table, lock.pid);
  if (command === null) return null;
  return {
    pid: lock.pid,
    hostname: thisProcess().hostname,
    command,
    acquiredAt: null,
    running: true,
    thisProcess: isThisProcess,
  };
}

function commandIn(table: LockTable | null, pid: number): string | null {
  const known = table?.commands.get(pid);
  if (known !== undefined) return known;
  const command = commandOfProcess(pid);
  table?.commands.set(pid, command);
  return command;
}

/** This process, as the holder of a lock that one of its guards bars. */
export function holderHere(path: string): LockHolder | null {
  return holderOfLock({ pid: process.pid }, readRecord(path), null);
}

function holderIn(table: LockTable | null, path: string, mechanism: LockMechanism): LockHolder | null {
  try {
    const status = lstatSync(path, { bigint: true });
    const record = status.size === 0n ? null : readRecord(path);
    const lock = table === null ? null : findLock(table, identify(status).name, mechanism);
    // A holder in another pid namespace is not in the table; its record may tell.
    return holderOfLock(lock ?? { pid: -1 }, record, table);
  } catch {
    return null; // a hint that is not to be had is no reason to fail
  }
}

/** Who holds the lock of a path, which is known to be held; null when that cannot be told. */
export function findHolderSync(path: string, mechanism: LockMechanism): LockHolder | null {
  return holderIn(readTableSync(), path, mechanism);
}

/** The same, without blocking this thread. Never rejects. */
export async function findHolder(path: string, mechanism: LockMechanism): Promise<LockHolder | null> {
  return holderIn(await readTable(), path, mechanism);
}

/** The lock file; null when there is none. Throws what opening the lock file would throw where the path names something else. */
function findFile(path: string): BigIntStats | null {
  try {
    const status = lstatSync(path, { bigint: true });
    if (status.isFile()) return status;
    if (status.isSymbolicLink()) throw systemError('open', constants.errno.ELOOP, path);
    if (status.isDirectory()) throw systemError('open', constants.errno.EISDIR, path);
    throw notAFile(path);
  } catch (error) {
    if (error instanceof LockError) throw error;
    const cause = error as NodeJS.ErrnoException;
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return null;
    throw fromFileSystemError(cause, path);
  }
}

/** What the kernel and the record say of the lock of a path, without touching the lock. */
export function inspect(path: string, mechanism: LockMechanism): LockReport {
  for (let attempts = 3; ; attempts--) {
    const before = readRecord(path);
    const report = inspectOnce(path, mechanism, before);
    const after = readRecord(path);
    // What was read at two times may not fit together: released, or granted, in between. A record that
    // said `held` all the while, beside a lock that was free meanwhile, was abandoned indeed.
    const steady = before?.held === after?.held && before?.fencingToken === after?.fencingToken;
    if (steady || !report.abandoned) return report;
    if (attempts === 1) return { ...report, holder: null, abandoned: false }; // in lively use
  }
}

function inspectOnce(path: string, mechanism: LockMechanism, record: HolderRecord | null): LockReport {
  const file = findFile(path);
  if (file === null) return { path, state: 'missing', holder: null, abandoned: false };
  const table = readTableSync();
  const recorded = record?.held ? holderOf(record) : null;
  if (table === null) return inspectRecord(path, record, recorded);
  const { device, name } = identify(file);
  const lock = findLock(table, name, mechanism);
  if (lock !== null) return { path, state: 'held', holder: holderOfLock(lock, record, table), abandoned: false };
  if (!isTableComplete(device) || recorded?.running === null) {
    return { path, state: 'unknown', holder: recorded, abandoned: null };
  }
  return { path, state: 'free', holder: recorded, abandoned: recorded !== null };
}

/** Where the kernel has no table, the record is all there is. */
function inspectRecord(path: string, record: HolderRecord | null, holder: LockHolder | null): LockReport {
  if (record === null || holder?.running === null) return { path, state: 'unknown', holder, abandoned: null };
  if (holder?.running) return { path, state: 'held', holder, abandoned: false };
  return { path, state: 'free', holder, abandoned: holder !== null };
}
