import { type BigIntStats, closeSync, constants as fs, lstatSync, openSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { fromFileSystemError, LockError, notAFile, systemError } from '../errors.js';
import { kernelWaitsOf } from '../kernel-waits.js';
import type { LockMechanism, LockMode } from '../lock-mode.js';
import { failure, GRANTED, HOLDINGS, loadNative, toNativePath } from '../native.js';
import { FIRST_BYTE, type HolderRecord, holderOf, parseRecord, RECORD_LIMIT } from './holder-record.js';
import {
  type FileIdentity,
  identify,
  isTableComplete,
  type LockTable,
  locksIn,
  readTable,
  readTableSync,
} from './kernel-locks.js';
import type { LockHolder, LockReport } from './lock-holder.js';
import { commandOfProcess, isRunning, thisProcess } from './process-info.js';

export type { LockReport };

/** An inspection is made this often at most, while what it reads is inconsistent. */
const MOST_ATTEMPTS = 3;

/**
 * The record in a lock file; null when there is none, or none that can be read. Its first byte is known, and not
 * read: on Windows nobody else can read that while the file is locked.
 */
function readRecord(path: string): HolderRecord | null {
  try {
    const file = openSync(path, fs.O_RDONLY | fs.O_NOFOLLOW | fs.O_NONBLOCK);
    try {
      const content = Buffer.alloc(RECORD_LIMIT, FIRST_BYTE);
      return parseRecord(content.subarray(0, 1 + readSync(file, content, 1, RECORD_LIMIT - 1, 1)));
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

/**
 * The holder with the pid that the kernel names, with what its record says. Where the kernel names none (-1), the
 * record is believed.
 */
function holderWithPid(pid: number, record: HolderRecord | null, table: LockTable | null): LockHolder | null {
  if (record?.held && (pid === record.pid || pid < 1)) {
    const running = isRunning(record);
    if (running || (running === null && pid < 1)) return holderOf(record);
  }
  if (pid < 1) return null;
  const isThisProcess = pid === process.pid;
  const command = isThisProcess ? thisProcess().command : commandIn(table, pid);
  if (command === null) return null;
  const { hostname } = thisProcess();
  return { pid, hostname, command, acquiredAt: null, running: true, thisProcess: isThisProcess };
}

function commandIn(table: LockTable | null, pid: number): string | null {
  const known = table?.commands.get(pid);
  if (known !== undefined) return known;
  const command = commandOfProcess(pid);
  table?.commands.set(pid, command);
  return command;
}

/** A lock file on a server, as a thread has found it: this one must not wait for the answer. */
interface RemoteFile {
  readonly identity: FileIdentity;
  readonly record: HolderRecord | null;
}

/** Null: there is none. Rejects where the path names something else, or cannot be looked at. */
async function lookOffThread(path: string): Promise<RemoteFile | null> {
  const native = loadNative(path);
  const { outcome, content } = await kernelWaitsOf(native).ask((_, handle) =>
    native.startInspect(handle, toNativePath(path)),
  );
  if (outcome === GRANTED && content !== undefined) {
    const identity = { dev: content.readBigUInt64LE(0), ino: content.readBigUInt64LE(8) };
    return { identity, record: parseRecord(content.subarray(16)) };
  }
  const error = failure(outcome, path);
  if (isMissing(error)) return null;
  throw error;
}

/** ESTALE: another machine has removed it. */
function isMissing({ code }: { code?: string | undefined }): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESTALE';
}

/** This process, as the holder of a lock that one of its guards holds. */
export function holderHere(path: string): LockHolder | null {
  return holderWithPid(process.pid, readRecord(path), null);
}

function pidOfHolder(table: LockTable, name: string, mechanism: LockMechanism): number {
  for (const { pid, waiting } of locksIn(table, name, mechanism)) if (!waiting) return pid;
  return -1;
}

function holderOfFile(
  table: LockTable | null,
  file: FileIdentity,
  record: HolderRecord | null,
  mechanism: LockMechanism,
): LockHolder | null {
  const pid = table === null ? -1 : pidOfHolder(table, identify(file).name, mechanism);
  // A holder in another pid namespace is not in the table; its record may tell.
  return holderWithPid(pid, record, table);
}

function holderIn(table: LockTable | null, path: string, mechanism: LockMechanism): LockHolder | null {
  try {
    const status = lstatSync(path, { bigint: true });
    return holderOfFile(table, status, status.size === 0n ? null : readRecord(path), mechanism);
  } catch {
    return null; // only a hint: no reason to fail
  }
}

/** Who holds the lock of a path, which is known to be held; null when that is unknown. */
export function findHolderSync(path: string, mechanism: LockMechanism): LockHolder | null {
  return holderIn(readTableSync(), path, mechanism);
}

/** The same, without blocking this thread. `here`: a guard of this thread holds it. Never rejects. */
export async function findHolder(
  path: string,
  mechanism: LockMechanism,
  onNetwork: boolean,
  here: boolean,
): Promise<LockHolder | null> {
  if (!onNetwork) return here ? holderHere(path) : holderIn(await readTable(), path, mechanism);
  const [table, file] = await Promise.all([here ? null : readTable(), lookOffThread(path).catch(() => null)]);
  if (here) return holderWithPid(process.pid, file?.record ?? null, null);
  return file === null ? null : holderOfFile(table, file.identity, file.record, mechanism);
}

/** The lock file; null when there is none. Where the path names something else, throws what locking it would throw. */
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
    const failed = fromFileSystemError(cause, path);
    if (isMissing(failed)) return null;
    throw failed;
  }
}

/**
 * What the kernel and the record say of the lock of a path, without touching the lock. `heldHere`: how guards of this
 * thread hold it; needed where the kernel does not tell.
 */
export function inspect(path: string, mechanism: LockMechanism, heldHere: LockMode | null): LockReport {
  loadNative(path);
  const inspection = inspectWithTables(path, mechanism, heldHere);
  let step = inspection.next(null);
  while (!step.done) step = inspection.next(readTableSync());
  return step.value;
}

/** The same, reading the kernel's table off this thread; those who ask meanwhile share one reading. */
export async function inspectOffThread(
  path: string,
  mechanism: LockMechanism,
  heldHere: LockMode | null,
  onNetwork: boolean,
): Promise<LockReport> {
  if (onNetwork) {
    const file = await lookOffThread(path);
    if (file === null) return missing(path);
    return inspectFile(path, mechanism, heldHere, file.identity, file.record, await readTable());
  }
  const inspection = inspectWithTables(path, mechanism, heldHere);
  let step = inspection.next(null);
  while (!step.done) step = inspection.next(await readTable());
  return step.value;
}

/** Yields wherever it needs the table as it is at that time, and gets it from `next()`. */
function* inspectWithTables(
  path: string,
  mechanism: LockMechanism,
  heldHere: LockMode | null,
): Generator<undefined, LockReport, LockTable | null> {
  for (let attempt = 1; ; attempt++) {
    const before = readRecord(path);
    const file = findFile(path);
    if (file === null) return missing(path);
    const table = yield;
    const report = inspectFile(path, mechanism, heldHere, file, before, table);
    if (report.state !== 'free') return report;
    const after = readRecord(path);
    // What was read at different times can be inconsistent: the lock was released, or granted, in between. If
    // the record said `held` before and after, and the lock was free in between, it was abandoned.
    const steady = before?.held === after?.held && before?.fencingToken === after?.fencingToken;
    // A table in several pieces may lack a lock that is held; two in a row are unlikely to.
    if ((steady || !report.abandoned) && (table?.inOnePiece || attempt > 1)) return report;
    if (attempt === MOST_ATTEMPTS) return { ...report, holder: null, abandoned: false }; // granted and released all the time
  }
}

function inspectFile(
  path: string,
  mechanism: LockMechanism,
  heldHere: LockMode | null,
  file: FileIdentity,
  record: HolderRecord | null,
  table: LockTable | null,
): LockReport {
  const { device, name } = identify(file);
  const isComplete = table !== null && isTableComplete(device);
  const locks = table === null ? [] : [...locksIn(table, name, mechanism)];
  const held = locks.filter(({ waiting }) => !waiting);
  const waiting = isComplete ? locks.length - held.length : null;
  const holderOfPid = (pid: number) => holderWithPid(pid, record, table);
  const [first] = held;
  if (first !== undefined) {
    const mode = held.some((lock) => lock.mode === 'exclusive') ? 'exclusive' : 'shared';
    const holders = [...new Set(held.map(({ pid }) => pid))].map(holderOfPid).filter((holder) => holder !== null);
    return reportOf(path, 'held', { mode, holder: holderOfPid(first.pid), holders, waiting, abandoned: false });
  }
  const recorded = record?.held ? holderOf(record) : null;
  if (isComplete && recorded?.running !== null) {
    return reportOf(path, 'free', { holder: recorded, waiting, abandoned: recorded !== null });
  }
  const holding = table === null ? holdingOf(path) : 'unknown';
  if (holding === 'none') return reportOf(path, 'free', { holder: recorded, abandoned: recorded !== null });
  if (holding !== 'unknown') {
    const recordedHere = holding === 'exclusive' && recorded?.running !== false ? recorded : null;
    const holder = heldHere === null ? recordedHere : holderOfPid(process.pid);
    const holders = holder === null ? [] : [holder];
    return reportOf(path, 'held', { mode: holding, holder, holders, abandoned: false });
  }
  // The kernel does not tell. Then a guard of this thread is known, and a recorded holder that still runs is
  // believed where there is no table at all; any other holder may have recorded nothing.
  const holder = heldHere === null ? recorded : holderOfPid(process.pid);
  if (heldHere === null && (table !== null || !recorded?.running)) {
    return reportOf(path, 'unknown', { holder, waiting });
  }
  const holders = holder === null ? [] : [holder];
  return reportOf(path, 'held', { mode: heldHere ?? 'exclusive', holder, holders, waiting, abandoned: false });
}

/** Where there is no table: macOS tells of every lock, Windows of the exclusive ones. */
function holdingOf(path: string): (typeof HOLDINGS)[number] {
  return HOLDINGS[loadNative(path).lookAtLock(toNativePath(path))] ?? 'unknown';
}

function missing(path: string): LockReport {
  return reportOf(path, 'missing', { waiting: 0, abandoned: false });
}

function reportOf(path: string, state: LockReport['state'], known: Partial<LockReport>): LockReport {
  return { path, state, mode: null, holder: null, holders: [], waiting: null, abandoned: null, ...known };
}
