import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** A temporary directory, removed after the test. */
export function tempDir(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'native-file-lock-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The path of a lock file that does not exist yet. */
export function tempLock(): string {
  return path.join(tempDir(), 'test.lock');
}
