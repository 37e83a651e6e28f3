import { opendirSync } from 'node:fs';
import path from 'node:path';
import { now, setImmediate } from '../clock.js';
import { fromFileSystemError } from '../errors.js';
import { holderOf, parseRecord, RECORD_LIMIT } from '../holder/holder-record.js';
import type { LockHolder } from '../holder/lock-holder.js';
import { failure, loadNative, type Native, toNativePath } from '../native.js';
import { INDEX_LOCK, isJobId, JOB_LOCK, jobLockPath } from './job-path.js';

/** A lock file that clean-up removed, or, on a dry run, would remove. */
export interface StaleLock {
  /** Null: the lock of the jobs index. */
  jobId: string | null;
  /** The absolute path of the lock file. */
  path: string;
  /** Who abandoned it; null when it was not abandoned. */
  previousHolder: LockHolder | null;
  /** The last recorded holder ended without releasing. */
  abandoned: boolean;
}

/** Clean-up works this long (ms) before it lets the event loop turn. */
const SLICE = 5;
/** How many names are read from the directory at a time. */
const BATCH = 256;

/**
 * Removes the lock files of a jobs directory that are older than `maxAge` (ms) and that nobody holds:
 * native/stale_lock.h says how that takes a lock from nobody. A file that cannot be read or removed is
 * left, and does not stop the rest.
 *
 * Lists synchronously: Node loses what `fs/promises` opens while a worker is being terminated, and closes
 * what `opendirSync` opened.
 */
export async function removeStaleLocks(
  jobsDirectory: string,
  maxAge: number,
  dryRun: boolean,
  signal: AbortSignal | undefined,
): Promise<StaleLock[]> {
  await new Promise(setImmediate); // a loop of clean-ups must not starve the event loop, however short they are
  throwIfAborted(signal);
  const native = loadNative(jobsDirectory);
  const content = Buffer.alloc(RECORD_LIMIT);
  const removed: StaleLock[] = [];
  const directory = openDirectory(native, jobsDirectory);
  if (directory === null) return removed;
  const sweep = (jobId: string | null) => {
    const count = native.removeStale(
      directory,
      jobId ?? '',
      jobId === null ? INDEX_LOCK : JOB_LOCK,
      maxAge,
      dryRun,
      content,
    );
    if (count < 0) return;
    const record = parseRecord(content.subarray(0, count));
    const abandoned = record?.held ?? false;
    removed.push({
      jobId,
      path: jobId === null ? path.join(jobsDirectory, INDEX_LOCK) : jobLockPath(jobsDirectory, jobId),
      previousHolder: record !== null && abandoned ? holderOf(record) : null,
      abandoned,
    });
  };
  try {
    let sliceEnd = now() + SLICE;
    sweep(null);
    const entries = orThrow(jobsDirectory, () => opendirSync(jobsDirectory, { bufferSize: BATCH }));
    const next = () => orThrow(jobsDirectory, () => entries.readSync());
    try {
      for (let entry = next(); entry !== null; entry = next()) {
        if (isJobId(entry.name)) sweep(entry.name);
        if (now() < sliceEnd) continue;
        await new Promise(setImmediate);
        throwIfAborted(signal);
        sliceEnd = now() + SLICE;
      }
    } finally {
      entries.closeSync();
    }
  } finally {
    native.closeDirectory(directory);
  }
  return removed;
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}

/** Null: there is no such directory, and so no lock. */
function openDirectory(native: Native, path: string): number | null {
  const directory = native.openDirectory(toNativePath(path));
  if (directory >= 0) return directory;
  const error = failure(directory, path);
  if (error.code === 'ENOENT') return null;
  throw error;
}

function orThrow<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromFileSystemError(error as NodeJS.ErrnoException, path);
  }
}
