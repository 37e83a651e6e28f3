import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export const NFS = 0x6969;
const TMPFS = 0x01021994;

// A file system without a block device, so that its type is asked for, and the answer can be another one.
const SHM = '/dev/shm';
export const hasShm = existsSync(SHM) && statfsSync(SHM).type === TMPFS;
if (!hasShm) console.warn(`Skipped: tests with an alleged network file system. They need a tmpfs at ${SHM}.`);

/** A temporary directory that can be alleged to be on another file system, removed after the test. */
export function shmDir(): string {
  const directory = mkdtempSync(path.join(SHM, 'native-file-lock-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The fault (test/fixtures/faults.c) that alleges a file system of that type (statfs(2)). */
export function alleged(type = NFS): string {
  return `fstatfs errno ${type} 1000000`;
}
