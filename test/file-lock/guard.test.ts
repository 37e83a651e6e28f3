import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileLock, LockError } from '../../lib/index.js';
import { openDescriptors } from '../support/process-state.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason));
  });

describe('fd', () => {
  test('names the locked file while the lock is held, and is null afterwards', () => {
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    writeSync(guard.fd as number, 'written through the guard');
    expect(readFileSync(file, 'latin1')).toBe('written through the guard');
    guard.release();
    expect(guard.fd).toBeNull();
  });

  test('once it was read, its open file serves no other guard', async () => {
    const file = tempLock();
    const lock = new FileLock(file, { keepOpen: true });
    const first = lock.acquireSync();
    const child = spawn('sleep', ['60'], { stdio: ['ignore', first.fd as number, 'ignore'] });
    onTestFinished(async () => {
      child.kill();
      await once(child, 'exit');
    });
    await once(child, 'spawn');
    // proc(5), /proc/pid/fdinfo: a line for each lock that the open file description holds.
    const childHasTheLock = () => readFileSync(`/proc/${child.pid}/fdinfo/1`, 'latin1').includes('lock:');
    expect(childHasTheLock()).toBe(true);
    const next = lock.acquire();
    first.release(); // would hand its open file on
    const second = await next;
    expect(childHasTheLock()).toBe(false);
    second.release();
    const third = lock.acquireSync();
    void third.fd;
    third.release(); // would keep its open file
    const fourth = lock.acquireSync();
    expect(childHasTheLock()).toBe(false);
    fourth.release();
  });

  test('release unlocks for a child that inherited it', async () => {
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    const child = spawn('sleep', ['60'], { stdio: ['ignore', guard.fd as number, 'ignore'] });
    onTestFinished(async () => {
      child.kill();
      await once(child, 'exit');
    });
    await once(child, 'spawn');
    guard.release();
    execFileSync('flock', ['-n', file, 'true']);
  });

  test.each(['closed', 'replaced'])(
    'release touches nothing when the descriptor was %s by others, and warns',
    async (how) => {
      const guard = new FileLock(tempLock()).acquireSync();
      const fd = guard.fd as number;
      const other = path.join(tempDir(), 'other');
      writeFileSync(other, '');
      closeSync(fd);
      const reused = how === 'replaced' ? openSync(other, 'r') : -1;
      if (how === 'replaced') expect(reused).toBe(fd);
      const before = openDescriptors();
      const warned = once(process, 'warning');
      expect(() => guard.verify()).toThrow(expect.objectContaining({ code: 'ERR_LOCK_LOST' }));
      guard.release();
      expect(openDescriptors()).toBe(before);
      const [warning] = await warned;
      expect(warning).toMatchObject({ name: 'LockWarning' });
      if (how === 'replaced') closeSync(reused); // still open
    },
  );
});

describe('verify', () => {
  test('throws nothing while the path names the locked file', () => {
    using guard = new FileLock(tempLock()).acquireSync();
    expect(() => guard.verify()).not.toThrow();
  });

  test.each(['removed', 'replaced', 'renamed away', 'released'])('throws ERR_LOCK_LOST when it was %s', (how) => {
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    if (how === 'removed') rmSync(file);
    if (how === 'renamed away') renameSync(file, `${file}.away`);
    if (how === 'replaced') {
      writeFileSync(`${file}.new`, '');
      renameSync(`${file}.new`, file);
    }
    if (how === 'released') guard.release();
    const error = (() => {
      try {
        guard.verify();
      } catch (thrown) {
        return thrown;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(LockError);
    expect(error).toMatchObject({ code: 'ERR_LOCK_LOST', path: file });
    expect(guard.held).toBe(how !== 'released');
    guard.release();
  });
});

describe('lost', () => {
  test('aborts when the lock file is removed, and the guard stays held', async () => {
    const file = tempLock();
    using guard = new FileLock(file).acquireSync();
    const { lost } = guard;
    expect(lost.aborted).toBe(false);
    rmSync(file);
    expect(await aborted(lost)).toMatchObject({ code: 'ERR_LOCK_LOST', path: file });
    expect(guard.held).toBe(true);
    expect(guard.lost).toBe(lost);
  });

  test('aborts when a parent directory is renamed, which is no event of the file', async () => {
    const directory = path.join(tempDir(), 'parent');
    mkdirSync(directory);
    using guard = new FileLock(path.join(directory, 'lock')).acquireSync();
    const { lost } = guard;
    renameSync(directory, `${directory}.away`);
    expect(await aborted(lost)).toMatchObject({ code: 'ERR_LOCK_LOST' });
  });

  test('is aborted from the start when the lock is lost by then', () => {
    const file = tempLock();
    using guard = new FileLock(file).acquireSync();
    rmSync(file);
    expect(guard.lost.aborted).toBe(true);
  });

  test('never aborts after release', async () => {
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    const other = new FileLock(tempLock()).acquireSync();
    const { lost } = guard;
    guard.release();
    const otherLost = aborted(other.lost);
    rmSync(file);
    rmSync(other.path);
    await otherLost; // looked at later than the first would have been
    expect(lost.aborted).toBe(false);
    const released = new FileLock(tempLock()).acquireSync();
    released.release();
    expect(released.lost.aborted).toBe(false);
    other.release();
  });

  test('does not keep the process alive', () => {
    const script = `
      const { FileLock } = require(process.argv[1]);
      globalThis.guard = new FileLock(process.argv[2]).acquireSync();
      globalThis.lost = guard.lost;
    `;
    execFileSync(process.execPath, ['-e', script, path.join(__dirname, '../..'), tempLock()]);
  });
});

test('console.log of a lock and of a guard shows the path, the mode and whether it is held', () => {
  const file = tempLock();
  const lock = new FileLock(file);
  const guard = lock.acquireSync({ mode: 'shared' });
  expect(inspect(lock)).toContain(file);
  expect(inspect(guard)).toContain(file);
  expect(inspect(guard)).toMatch(/mode: 'shared'.*held: true|held: true.*mode: 'shared'/s);
  guard.release();
  expect(inspect(guard)).toContain('held: false');
});
