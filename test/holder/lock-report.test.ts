import fs, { readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { inspect, inspectOffThread } from '../../lib/holder/inspect.js';
import { FileLock, type FileLockOptions, type LockMode, type LockReport } from '../../lib/index.js';
import { loadNative } from '../../lib/native.js';
import { Actor } from '../support/actor.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const FIRST_PID_NAMESPACE = 'pid:[4026531836]'; // the same number on every machine
const seesEveryProcess = readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE;
if (!seesEveryProcess) console.warn('Skipped: who waits. In this pid namespace nobody can tell.');
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('Skipped: a process without /proc. Only root can take it away.');

const MECHANISMS = ['flock', 'fcntl'] as const;
const MODES = ['exclusive', 'shared'] as const;

async function contender(file: string, options: FileLockOptions = {}, through: readonly string[] = []): Promise<Actor> {
  const actor = await Actor.process({ through });
  await actor.call('open', { lock: 'a', path: file, options });
  return actor;
}

async function holder(file: string, options: FileLockOptions = {}): Promise<Actor> {
  const actor = await contender(file, options);
  await actor.call('acquire', { lock: 'a', guard: 'g' });
  return actor;
}

const pidsOf = ({ holders }: LockReport) => holders.map(({ pid }) => pid).sort((a, b) => a - b);

describe('a report', () => {
  test.each(MECHANISMS.flatMap((mechanism) => MODES.map((mode) => ({ mechanism, mode }))))(
    'says how the lock is held: $mechanism, $mode',
    async ({ mechanism, mode }) => {
      const file = tempLock();
      await holder(file, { mechanism, mode });
      expect(new FileLock(file, { mechanism }).inspect()).toMatchObject({ state: 'held', mode });
    },
  );

  test('names every process that holds a shared lock, and each once', async () => {
    const file = tempLock();
    const actors = [await holder(file, { mode: 'shared' }), await holder(file, { mode: 'shared' })];
    await actors[0]?.call('acquire', { lock: 'a', guard: 'another' });
    const report = new FileLock(file).inspect();
    expect(pidsOf(report)).toEqual(actors.map(({ pid }) => pid).sort((a, b) => a - b));
    expect(report.holders).toContainEqual(report.holder);
    expect(report.holders).toContainEqual(
      expect.objectContaining({ command: expect.stringMatching(/^node .*actor\.cjs$/), running: true }),
    );
  });

  test('of an open-file-description lock names the recorded holder, and else nobody: the kernel knows none', async () => {
    const file = tempLock();
    const lock = new FileLock(file, { mechanism: 'fcntl' });
    const actor = await holder(file, { mechanism: 'fcntl' });
    expect(lock.inspect()).toMatchObject({ state: 'held', holder: null, holders: [] });
    await actor.end();
    const recording = await holder(file, { mechanism: 'fcntl', recordHolder: true });
    expect(pidsOf(lock.inspect())).toEqual([recording.pid]);
  });

  test.skipIf(!seesEveryProcess).each(MECHANISMS)('counts those who wait in the kernel (%s)', async (mechanism) => {
    const file = tempLock();
    const lock = new FileLock(file, { mechanism });
    await holder(file, { mechanism });
    for (let waiters = 1; waiters <= 3; waiters++) {
      const waiter = await contender(file, { mechanism, mode: waiters === 2 ? 'shared' : 'exclusive' });
      waiter.call('acquire', { lock: 'a', guard: 'g' }).catch(() => {});
      await untilWaiting(file, waiters);
      expect(lock.inspect()).toMatchObject({ state: 'held', mode: 'exclusive', waiting: waiters });
    }
  });

  test.skipIf(!seesEveryProcess)('of a free lock has no mode, no holders and nobody waiting', () => {
    const lock = new FileLock(tempLock());
    lock.acquireSync().release();
    expect(lock.inspect()).toMatchObject({ state: 'free', mode: null, holder: null, holders: [], waiting: 0 });
  });

  test('of a missing file has no mode, no holders and nobody waiting', () => {
    const lock = new FileLock(path.join(tempDir(), 'l'));
    expect(lock.inspect()).toMatchObject({ state: 'missing', mode: null, holders: [], waiting: 0 });
  });

  test.skipIf(!seesEveryProcess)('of an abandoned lock names who abandoned it, and no holders', async () => {
    const file = tempLock();
    const actor = await holder(file, { recordHolder: true });
    await actor.end();
    expect(new FileLock(file).inspect()).toMatchObject({
      state: 'free',
      abandoned: true,
      mode: null,
      holder: { pid: actor.pid },
      holders: [],
    });
  });
});

describe.each([
  ['where there is no table', '/proc/no-such-table'],
  ['where the table has not all locks', '/dev/null'],
])('%s', (_, table) => {
  beforeEach(() => {
    const { openSync, readFileSync } = fs;
    vi.spyOn(fs, 'openSync').mockImplementation((file, ...rest) =>
      openSync(file === '/proc/locks' ? table : file, ...rest),
    );
    // No mount has the number of any file's device, so that a file system is not known to be a local one.
    const withoutMounts = (...[file, ...rest]: Parameters<typeof readFileSync>) =>
      file === '/proc/self/mountinfo' ? '' : readFileSync(file, ...rest);
    vi.spyOn(fs, 'readFileSync').mockImplementation(withoutMounts as typeof readFileSync);
    return () => vi.restoreAllMocks();
  });

  test.each(MODES)(
    'a lock that another process holds is unknown, recorded as released or not at all (%s)',
    async (mode) => {
      const file = tempLock();
      const actor = await holder(file, { mode });
      const unknown = { state: 'unknown', mode: null, holder: null, holders: [], waiting: null, abandoned: null };
      expect(inspect(file, 'flock', null)).toEqual({ path: file, ...unknown });
      await actor.call('release', { guard: 'g' });
      expect(inspect(file, 'flock', null)).toEqual({ path: file, ...unknown });
      const recording = await contender(file, { recordHolder: true });
      await recording.call('acquire', { lock: 'a', guard: 'g' });
      await recording.call('release', { guard: 'g' });
      await actor.call('acquire', { lock: 'a', guard: 'g' });
      expect(inspect(file, 'flock', null)).toEqual({ path: file, ...unknown });
    },
  );

  test('nobody can tell that a lock was abandoned: another one may hold it', async () => {
    const file = tempLock();
    const actor = await holder(file, { recordHolder: true });
    await actor.end();
    expect(inspect(file, 'flock', null)).toMatchObject({
      state: 'unknown',
      holder: { pid: actor.pid, running: false },
      holders: [],
      abandoned: null,
    });
  });

  test.each(MODES)("a guard of one's own thread is seen (%s)", async (mode) => {
    const file = tempLock();
    using _guard = new FileLock(file, { mode }).acquireSync();
    const here = expect.objectContaining({ pid: process.pid, running: true, thisProcess: true });
    const expected = {
      path: file,
      state: 'held',
      mode,
      holder: here,
      holders: [here],
      waiting: null,
      abandoned: false,
    };
    expect(inspect(file, 'flock', mode)).toEqual(expected);
    expect(await inspectOffThread(file, 'flock', mode, false)).toEqual(expected);
  });

  test("a recorded guard of one's own thread tells since when", () => {
    const file = tempLock();
    using _guard = new FileLock(file, { recordHolder: true }).acquireSync();
    expect(inspect(file, 'flock', 'exclusive').holder?.acquiredAt).toBeInstanceOf(Date);
  });
});

describe.skipIf(!isRoot)('in a process without /proc', () => {
  const WITHOUT_PROC = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'];

  test.each(MODES)('a lock that another process holds is unknown, and never free (%s)', async (mode) => {
    const file = tempLock();
    new FileLock(file, { recordHolder: true }).acquireSync().release();
    const actor = await holder(file, { mode });
    const observer = await contender(file, {}, WITHOUT_PROC);
    const inspectThere = () => observer.call<LockReport>('inspect', { lock: 'a' });
    expect(await inspectThere()).toMatchObject({ state: 'unknown', holders: [], waiting: null, abandoned: null });
    await actor.end();
    expect(await inspectThere()).toMatchObject({ state: 'unknown' });
    rmSync(file);
    expect(await inspectThere()).toMatchObject({ state: 'missing' });
  });
});

describe('an inspection off the thread', () => {
  const HELD: (LockMode | null)[] = [null, 'shared'];

  test.each(HELD)('says the same as one on it (heldHere: %s)', async (heldHere) => {
    const file = tempLock();
    expect(await inspectOffThread(file, 'flock', heldHere, false)).toEqual(inspect(file, 'flock', heldHere));
    writeFileSync(file, '');
    expect(await inspectOffThread(file, 'flock', heldHere, false)).toEqual(inspect(file, 'flock', heldHere));
    await holder(file, { recordHolder: true });
    const report = await inspectOffThread(file, 'flock', heldHere, false);
    expect(report).toEqual(inspect(file, 'flock', heldHere));
    expect(report).toMatchObject({ state: 'held', mode: 'exclusive' });
  });

  test('rejects where one on it throws', async () => {
    await expect(inspectOffThread('/dev/null', 'flock', null, false)).rejects.toMatchObject({
      code: 'ERR_LOCK_NOT_A_FILE',
    });
  });

  test('shares one reading of the table with all who ask meanwhile', async () => {
    const reading = vi.spyOn(loadNative(''), 'startReadAll');
    const files = Array.from({ length: 20 }, () => tempLock());
    for (const file of files) writeFileSync(file, '');
    const guards = files.map((file) => new FileLock(file).acquireSync());
    const reports = await Promise.all(files.map((file) => inspectOffThread(file, 'flock', null, false)));
    const readings = reading.mock.calls.length;
    reading.mockRestore();
    for (const guard of guards) guard.release();
    expect(reports.map(({ state }) => state)).toEqual(files.map(() => 'held'));
    expect(readings).toBe(1);
  });
});

test('the record of a file whose first byte cannot be read names its holder', async () => {
  const file = tempLock();
  const actor = await holder(file, { recordHolder: true });
  const { readSync } = fs;
  // As on Windows, where that byte is locked.
  vi.spyOn(fs, 'readSync').mockImplementation(((fd: number, buffer: Buffer, ...rest: [number, number, number]) => {
    if (rest[2] === 0) throw Object.assign(new Error('EBUSY: resource busy or locked, read'), { code: 'EBUSY' });
    return readSync(fd, buffer, ...rest);
  }) as typeof readSync);
  const report = new FileLock(file).inspect();
  vi.restoreAllMocks();
  expect(report.holder).toMatchObject({ pid: actor.pid, running: true });
  expect(report.holder?.acquiredAt).toBeInstanceOf(Date);
});
