import { lstatSync } from 'node:fs';
import { constants, hostname } from 'node:os';
import { fromFileSystemError, LockError, notAFile, systemError } from './errors.js';
import { findLock, identify, isTableComplete, readTable, readTableSync } from './kernel-locks.js';
import type { LockHolder } from './lock-holder.js';
import type { LockMechanism } from './options.js';
import { commandOf, commandOfProcess } from './process-info.js';

export interface LockReport {
  path: string;
  /** `unknown`: the kernel's table cannot be seen whole from here. */
  state: 'missing' | 'free' | 'held' | 'unknown';
  /** Who holds it, or, when free, who abandoned it. */
  holder: LockHolder | null;
  /** Free, and the last holder ended without releasing; null when the state is unknown. */
  abandoned: boolean | null;
}

/** This process, as the holder of what one of its guards bars. */
export function thisProcess(): LockHolder {
  return {
    pid: process.pid,
    hostname: hostname(),
    command: commandOf([process.execPath, ...process.argv.slice(1)]),
    acquiredAt: null,
    running: true,
    thisProcess: true,
  };
}

function holderWithPid(pid: number): LockHolder | null {
  if (pid === process.pid) return thisProcess();
  const command = pid > 0 ? commandOfProcess(pid) : null;
  if (command === null) return null;
  return { pid, hostname: hostname(), command, acquiredAt: null, running: true, thisProcess: false };
}

function holderIn(table: string | null, path: string, mechanism: LockMechanism): LockHolder | null {
  if (table === null) return null;
  try {
    const lock = findLock(table, identify(path).name, mechanism);
    return lock === null ? null : holderWithPid(lock.pid);
  } catch {
    return null; // a hint that is not to be had is no reason to fail
  }
}

/** Who holds the lock of a path; null when that cannot be told. */
export function findHolderSync(path: string, mechanism: LockMechanism): LockHolder | null {
  return holderIn(readTableSync(), path, mechanism);
}

/** The same, without blocking this thread. Never rejects. */
export async function findHolder(path: string, mechanism: LockMechanism): Promise<LockHolder | null> {
  return holderIn(await readTable(), path, mechanism);
}

/** Throws what opening the lock file would throw where the path names no regular file. */
function checkKind(path: string): 'file' | 'missing' {
  try {
    const status = lstatSync(path);
    if (status.isFile()) return 'file';
    if (status.isSymbolicLink()) throw systemError('open', constants.errno.ELOOP, path);
    if (status.isDirectory()) throw systemError('open', constants.errno.EISDIR, path);
    throw notAFile(path);
  } catch (error) {
    if (error instanceof LockError) throw error;
    const cause = error as NodeJS.ErrnoException;
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return 'missing';
    throw fromFileSystemError(cause, path);
  }
}

/** What the kernel says of the lock of a path, without touching the lock. */
export function inspect(path: string, mechanism: LockMechanism): LockReport {
  if (checkKind(path) === 'missing') return { path, state: 'missing', holder: null, abandoned: false };
  const table = readTableSync();
  const { device, name } = identify(path);
  const lock = table === null ? null : findLock(table, name, mechanism);
  if (lock !== null) return { path, state: 'held', holder: holderWithPid(lock.pid), abandoned: false };
  if (table === null || !isTableComplete(device)) return { path, state: 'unknown', holder: null, abandoned: null };
  return { path, state: 'free', holder: null, abandoned: false };
}
