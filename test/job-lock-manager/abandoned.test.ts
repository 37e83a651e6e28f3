import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileLock, type LockReport } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { expectBlocked } from '../support/blocked.js';
import { isInstalled } from '../support/command-contender.js';
import { abandon, jobLockFile, RecordingActor, tempManager } from '../support/jobs.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { forgeRecord } from '../support/records.js';
import { tempLock } from '../support/temp-dir.js';

const isRoot = process.getuid?.() === 0;
const seesEveryProcess = readlinkSync('/proc/self/ns/pid') === 'pid:[4026531836]'; // the initial one
if (!isRoot) console.warn('Skipped: holders in another pid namespace. Only root can create one.');
if (!seesEveryProcess)
  console.warn('Skipped: free locks. From this pid namespace it cannot be told whether a lock is free.');

const recorded = (file: string) => new FileLock(file, { recordHolder: true });

/** Acquires the lock and resolves with the previous holder, which abandoned it. */
async function previousHolderOf(file: string) {
  using guard = await recorded(file).acquire();
  return guard.previousHolder;
}

test('after a holder is killed, previousHolder names it to the next guard, and not to the one after', async () => {
  const manager = tempManager();
  const file = jobLockFile(manager.jobsDirectory, 'job');
  const before = Date.now();
  const pid = await abandon(file);
  if (seesEveryProcess) {
    expect(manager.inspectJob('job')).toMatchObject({
      state: 'free',
      abandoned: true,
      holder: { pid, running: false, thisProcess: false },
    });
  }
  const guard = await manager.lockJobDirectory('job');
  expect(guard.previousHolder).toMatchObject({
    pid,
    running: false,
    thisProcess: false,
    command: expect.stringMatching(/^node .*actor\.cjs$/),
    acquiredAt: expect.any(Date),
  });
  expect(guard.previousHolder?.acquiredAt?.getTime()).toBeGreaterThanOrEqual(before);
  expect(manager.inspectJob('job')).toMatchObject({ state: 'held', abandoned: false });
  guard.release();
  expect((await manager.lockJobDirectory('job')).previousHolder).toBeNull();
});

test('previousHolder is set by every method that acquires the lock', async () => {
  const file = tempLock();
  const lock = recorded(file);
  for (const acquire of [() => lock.acquire(), () => lock.acquireSync(), () => lock.tryAcquire()]) {
    const pid = await abandon(file);
    using guard = await acquire();
    expect(guard?.previousHolder).toMatchObject({ pid, running: false });
  }
});

test('previousHolder is set for a waiter in the kernel when the holder is killed', async () => {
  const file = tempLock();
  const holder = await RecordingActor.holding(file);
  const wait = recorded(file).acquire();
  await untilWaiting(file);
  await holder.crash();
  using guard = await wait;
  // `running` is not checked: the process may still be exiting just after the kernel released its lock.
  expect(guard.previousHolder).toMatchObject({ pid: holder.pid, thisProcess: false });
});

test('of ten processes that contend after a death, exactly one sees previousHolder', async () => {
  const file = tempLock();
  const [holder, ...contenders] = await Promise.all(Array.from({ length: 11 }, () => RecordingActor.open(file)));
  await holder?.acquire();
  const acquisitions = contenders.map(async (contender) => {
    const { previousHolder } = await contender.acquire();
    await contender.release();
    return previousHolder;
  });
  await untilWaiting(file, contenders.length);
  await holder?.crash();
  const seen = (await Promise.all(acquisitions)).filter((each) => each !== null);
  expect(seen).toEqual([expect.objectContaining({ pid: holder?.pid, thisProcess: false })]);
});

test('if the next holder dies too, the one after it sees only that death', async () => {
  const file = tempLock();
  let dead = await abandon(file);
  for (let round = 0; round < 3; round++) {
    const holder = await RecordingActor.open(file);
    expect((await holder.acquire()).previousHolder).toMatchObject({ pid: dead, running: false });
    await holder.crash();
    dead = holder.pid;
  }
  expect(await previousHolderOf(file)).toMatchObject({ pid: dead });
  expect(await previousHolderOf(file)).toBeNull();
});

test('a shared guard does not see previousHolder, and leaves it to the next exclusive guard', async () => {
  const file = tempLock();
  const pid = await abandon(file);
  const lock = recorded(file);
  for (const guard of [lock.acquireSync({ mode: 'shared' }), await lock.acquire({ mode: 'shared' })]) {
    expect(guard.previousHolder).toBeNull();
    guard.release();
  }
  expect(await previousHolderOf(file)).toMatchObject({ pid });
});

test('a guard without recordHolder does not see previousHolder, and leaves it to the next recorded guard', async () => {
  const file = tempLock();
  const pid = await abandon(file);
  const guard = new FileLock(file).acquireSync();
  expect(guard.previousHolder).toBeNull();
  guard.release();
  expect(await previousHolderOf(file)).toMatchObject({ pid });
});

test('a released lock is not abandoned, even if its holder is killed later', async () => {
  const file = tempLock();
  const holder = await RecordingActor.holding(file);
  await holder.release();
  expect(recorded(file).inspect().abandoned).not.toBe(true);
  await holder.crash();
  expect(recorded(file).inspect()).toMatchObject(seesEveryProcess ? { state: 'free', abandoned: false } : {});
  expect(await previousHolderOf(file)).toBeNull();
});

describe('an acquisition that ends without the lock leaves previousHolder to the next guard', () => {
  test('when it is aborted around the time at which the holder dies', async () => {
    const file = tempLock();
    const lock = recorded(file);
    const outcomes = { granted: 0, aborted: 0 };
    for (let round = 0; round < 25; round++) {
      const holder = await RecordingActor.holding(file);
      const controller = new AbortController();
      const wait = lock.acquire({ signal: controller.signal, timeout: Number.POSITIVE_INFINITY });
      await untilWaiting(file);
      const before = readFileSync(file, 'utf8');
      const died = holder.crash();
      // From immediately to many event loop turns later: before, at and after the grant.
      for (let turn = 0; turn < round ** 2; turn++) await new Promise(setImmediate);
      controller.abort();
      const guard = await wait.catch(() => null);
      await died;
      if (guard === null) {
        outcomes.aborted++;
        expect(readFileSync(file, 'utf8')).toBe(before);
        expect(await previousHolderOf(file)).toMatchObject({ pid: holder.pid, running: false });
      } else {
        outcomes.granted++;
        expect(guard.previousHolder).toMatchObject({ pid: holder.pid });
        guard.release();
        expect(await previousHolderOf(file)).toBeNull();
      }
    }
    console.log(`granted ${outcomes.granted}, aborted ${outcomes.aborted}`);
    expect(outcomes.granted + outcomes.aborted).toBe(25);
  });

  test("when a manager's acquisition of a free lock is aborted before it is delivered", async () => {
    for (let turns = 0; turns < 8; turns++) {
      const manager = tempManager();
      const file = jobLockFile(manager.jobsDirectory, 'job');
      const pid = await abandon(file);
      const controller = new AbortController();
      const acquisition = manager.lockJobDirectory('job', { signal: controller.signal });
      for (let turn = 0; turn < turns; turn++) await null;
      controller.abort();
      const guard = await acquisition.catch(() => null);
      const seen = guard === null ? await previousHolderOf(file) : guard.previousHolder;
      expect(seen, `${guard === null ? 'aborted' : 'granted'} after ${turns} turns`).toMatchObject({ pid });
    }
  });

  test('when the manager is closed before the lock is delivered', async () => {
    for (let turns = 0; turns < 8; turns++) {
      const manager = tempManager();
      const file = jobLockFile(manager.jobsDirectory, 'job');
      const pid = await abandon(file);
      const acquisition = manager.lockJobDirectory('job');
      for (let turn = 0; turn < turns; turn++) await null;
      manager.close();
      const guard = await acquisition.catch(() => null);
      const seen = guard === null ? await previousHolderOf(file) : guard.previousHolder;
      expect(seen, `${guard === null ? 'rejected' : 'granted'} after ${turns} turns`).toMatchObject({ pid });
    }
  });

  test('when it timed out', async () => {
    const file = tempLock();
    const holder = await RecordingActor.holding(file);
    await expect(recorded(file).acquire({ timeout: 20 })).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
    expect(recorded(file).tryAcquire()).toBeNull();
    await holder.crash();
    expect(await previousHolderOf(file)).toMatchObject({ pid: holder.pid });
  });
});

test('a stopped holder has not abandoned its lock: it is held, waited for, and never cleaned up', async () => {
  const manager = tempManager();
  const file = jobLockFile(manager.jobsDirectory, 'job');
  const holder = await RecordingActor.holding(file);
  holder.actor.signal('SIGSTOP');
  expect(manager.inspectJob('job')).toMatchObject({
    state: 'held',
    abandoned: false,
    holder: { pid: holder.pid, running: true },
  });
  expect(await manager.cleanupStaleLocks({ maxAge: 0 })).toEqual([]);
  const wait = manager.lockJobDirectory('job');
  await expectBlocked(wait);
  holder.actor.signal('SIGCONT');
  await holder.release();
  expect((await wait).previousHolder).toBeNull();
});

describe('previousHolder.running', () => {
  /** A free lock with a record that says it is held. */
  function forged(fields: Parameters<typeof forgeRecord>[0]): string {
    const file = tempLock();
    writeFileSync(file, forgeRecord(fields));
    return file;
  }

  test('is true if pid and start time match a live process, of which a worker may have ended', async () => {
    const file = tempLock();
    const other = await RecordingActor.holding(file);
    await other.release();
    const start = /^start (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
    writeFileSync(file, forgeRecord({ pid: String(other.pid), start }));
    expect(await previousHolderOf(file)).toMatchObject({ pid: other.pid, running: true, thisProcess: false });
  });

  test('is false if the pid belongs to another process now', async () => {
    const file = forged({ start: '1' });
    expect(await previousHolderOf(file)).toMatchObject({ pid: process.pid, running: false, thisProcess: false });
  });

  test('is true, with thisProcess, if everything matches this process', async () => {
    expect(await previousHolderOf(forged({}))).toMatchObject({ pid: process.pid, running: true, thisProcess: true });
  });

  test('is false after a reboot of this machine', async () => {
    const file = forged({ boot: '00000000-0000-0000-0000-000000000000' });
    expect(await previousHolderOf(file)).toMatchObject({ running: false });
  });

  const UNKNOWN = {
    'on another host': { boot: '00000000-0000-0000-0000-000000000000', host: 'somewhere-else' },
    'in another pid namespace': { pidns: '4026500000' },
    'with an unknown boot': { boot: '' },
  };

  test.each(Object.entries(UNKNOWN))('is null %s, and then the state of the lock is unknown', async (_, fields) => {
    const file = forged(fields);
    expect(recorded(file).inspect()).toMatchObject({
      state: 'unknown',
      abandoned: null,
      holder: { running: null, thisProcess: false },
    });
    expect(await previousHolderOf(file)).toMatchObject({ running: null, thisProcess: false });
  });

  test.skipIf(!isInstalled('python3'))('is false for a zombie that its parent has not reaped', async () => {
    const file = tempLock();
    // Starts the holder and never reaps it.
    const parent = spawn(
      'python3',
      [
        '-c',
        `
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=sys.stdout)
sys.stdin.read()
`,
        process.execPath,
        '-e',
        `const { FileLock } = require(${JSON.stringify(path.join(__dirname, '../..'))});
         globalThis.guard = new FileLock(${JSON.stringify(file)}, { recordHolder: true }).acquireSync();
         console.log(process.pid);
         setInterval(() => {}, 1e6)`,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const ended = once(parent, 'exit');
    let zombie = 0;
    onTestFinished(async () => {
      if (zombie > 0) process.kill(zombie, 'SIGKILL');
      parent.kill('SIGKILL');
      await ended;
    });
    const [line] = await once(parent.stdout, 'data');
    zombie = Number(line);
    process.kill(zombie, 'SIGKILL');
    const state = () => /\) (\S)/.exec(readFileSync(`/proc/${zombie}/stat`, 'latin1'))?.[1];
    await expect.poll(state, { timeout: 10_000 }).toBe('Z');
    expect(await previousHolderOf(file)).toMatchObject({ pid: zombie, running: false });
  });
});

describe.skipIf(!isRoot)('seen from another pid namespace', () => {
  const IN_NEW_NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

  test('a lock that is held outside is never reported as free', async () => {
    const file = tempLock();
    const inside = await RecordingActor.open(file, await Actor.process({ through: IN_NEW_NAMESPACE }));
    const holder = await RecordingActor.holding(file);
    const inspect = () => inside.actor.call<LockReport>('inspect', { lock: file });
    expect(await inspect()).toMatchObject({
      state: 'unknown',
      abandoned: null,
      holder: { pid: holder.pid, running: null },
    });
    await holder.crash();
    expect(await inspect()).toMatchObject({ state: 'unknown', abandoned: null });
    // previousHolder of the next guard names it all the same.
    expect((await inside.acquire()).previousHolder).toMatchObject({ pid: holder.pid, running: null });
  });

  test('a lock that is held inside is held for the outside, which sees the death of its holder', async () => {
    const file = tempLock();
    const inside = await RecordingActor.holding(file, await Actor.process({ through: IN_NEW_NAMESPACE }));
    expect(recorded(file).inspect()).toMatchObject({
      state: seesEveryProcess ? 'held' : 'unknown',
      abandoned: seesEveryProcess ? false : null,
    });
    await inside.actor.end();
    // The recorded pid is the one inside the namespace, which means nothing here.
    expect(await previousHolderOf(file)).toMatchObject({ running: null, thisProcess: false });
  });
});
