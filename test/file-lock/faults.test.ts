import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { buildShared, FaultyActor, hasCompiler } from '../support/c-fixture.js';
import { isFree } from '../support/is-free.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const { EACCES, EINTR, EIO, EPERM } = constants.errno;

/** Tries, waits and blocks for one lock in the actor, and gives what each of them came to. */
function everyWay(faulty: FaultyActor, path: string) {
  return faulty.actor.run(async (require, path) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    const lock = new FileLock(path);
    const code = (error: { code: string; syscall?: string }) => `${error.code} ${error.syscall}`;
    const attempt = (take: () => unknown) => {
      try {
        return String(take());
      } catch (error) {
        return code(error as { code: string });
      }
    };
    return {
      tryAcquire: attempt(() => lock.tryAcquire()),
      acquireSync: attempt(() => lock.acquireSync({ timeout: 20 })),
      acquire: await lock.acquire({ timeout: 20 }).then(String, code),
    };
  }, path);
}

describe.skipIf(!hasCompiler)('when system calls fail', () => {
  test('EACCES from flock is an error, and not contention', async () => {
    const faulty = await FaultyActor.start();
    faulty.inject(`flock errno ${EACCES} 100`);
    const failed = 'EACCES flock';
    expect(await everyWay(faulty, tempLock())).toEqual({ tryAcquire: failed, acquireSync: failed, acquire: failed });
  });

  /** An actor with a lock whose file stays open, so that a try asks the kernel only for the lock and for what its path names. */
  async function withOpenFile(file: string): Promise<FaultyActor> {
    const faulty = await FaultyActor.start();
    await faulty.actor.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file, { keepOpen: true });
      lock.tryAcquire()?.release();
      Object.assign(globalThis, { lock });
    }, file);
    return faulty;
  }
  const tryLock = (faulty: FaultyActor) =>
    faulty.actor.run(() => {
      try {
        return (globalThis as unknown as { lock: FileLock }).lock.tryAcquire()?.held ?? null;
      } catch (error) {
        const { code, syscall } = error as { code: string; syscall: string };
        return `${code} ${syscall}`;
      }
    });

  test('EIO while a grant is compared with its path is an error at once, and nothing stays locked', async () => {
    const file = tempLock();
    const faulty = await withOpenFile(file);
    faulty.inject(`statx errno ${EIO} 1`);
    expect(await tryLock(faulty)).toBe('EIO stat');
    const guard = new FileLock(file).tryAcquire();
    expect(guard?.held).toBe(true);
    guard?.release();
  });

  test('EINTR while a grant is compared with its path is retried', async () => {
    const faulty = await withOpenFile(tempLock());
    faulty.inject(`statx errno ${EINTR} 3`);
    expect(await tryLock(faulty)).toBe(true);
  });

  test('missing parent directories are made again when they are removed before the file is in them', async () => {
    const faulty = await FaultyActor.start();
    const file = path.join(tempDir(), 'parent/child/lock');
    faulty.inject('mkdir-vanish errno 1 10');
    const isGranted = await faulty.actor.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      return new FileLock(file).tryAcquire()?.held;
    }, file);
    expect(isGranted).toBe(true);
    expect(existsSync(file)).toBe(true);
    expect(faulty.left()).toBe(''); // all ten were removed
  });

  test('EINTR while what was opened is identified is retried', async () => {
    const faulty = await FaultyActor.start();
    faulty.inject(`statx errno ${EINTR} 3`);
    const { tryAcquire } = await everyWay(faulty, tempLock());
    expect(tryAcquire).toBe('[object Object]'); // a guard, and no error
  });

  test.each(['timer_create', 'timer_settime'])(
    'without %s a wait is polled: it times out, and it is granted',
    async (call) => {
      const faulty = await FaultyActor.start();
      const file = tempLock();
      const guard = new FileLock(file).acquireSync();
      faulty.inject(`${call} errno ${EPERM} 1000`);
      const timedOut = {
        tryAcquire: 'null',
        acquireSync: 'ERR_LOCK_TIMEOUT undefined',
        acquire: 'ERR_LOCK_TIMEOUT undefined',
      };
      expect(await everyWay(faulty, file)).toEqual(timedOut);
      await faulty.actor.run((require, file) => {
        const { FileLock } = require('../..') as typeof import('../../lib/index.js');
        Object.assign(globalThis, { wait: new FileLock(file).acquire() });
      }, file);
      guard.release(); // while the actor waits, and not before
      const granted = faulty.actor.run(
        async () => (await (globalThis as unknown as { wait: Promise<{ held: boolean }> }).wait).held,
      );
      expect(await granted).toBe(true);
    },
  );

  test('a blank file is read through the locked descriptor, not by its path', async () => {
    const faulty = await FaultyActor.start();
    const file = tempLock();
    const foreign = path.join(tempDir(), 'foreign');
    const moved = path.join(path.dirname(file), 'moved');
    writeFileSync(file, Buffer.alloc(4096));
    writeFileSync(foreign, 'not blank at all'.repeat(256));
    const take = () =>
      faulty.actor.run((require, file) => {
        const { FileLock } = require('../..') as typeof import('../../lib/index.js');
        return new FileLock(file, { recordHolder: true }).tryAcquire()?.fencingToken ?? null;
      }, file);
    // While the first bytes are read, the path becomes another file's.
    faulty.inject(`pread rename ${file} ${moved}`, `pread rename ${foreign} ${file}`);
    expect(await take()).not.toBeNull();
    expect(existsSync(foreign)).toBe(false);
    expect(readFileSync(moved, 'latin1')).toContain('state held');
    expect(readFileSync(file, 'latin1')).toMatch(/^not blank/);
  });
});

describe.skipIf(!hasCompiler)('when a library takes the signals that interrupt waits', () => {
  /** Compiles the library that takes them, before a wait that does not wait for that. */
  const compileSignalTaker = () => {
    const library = buildShared('takes-signals');
    return (actor: Actor) =>
      actor.run((_, library) => {
        try {
          process.dlopen({ exports: {} }, library);
        } catch {} // no addon, but its constructor has run
      }, library);
  };

  test('later waits time out on time, and are granted', async () => {
    const takeSignals = compileSignalTaker();
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    const actor = await Actor.process();
    const waits = () =>
      actor.run(async (require, file) => {
        const { FileLock } = require('../..') as typeof import('../../lib/index.js');
        const lock = new FileLock(file);
        const code = (error: { code: string }) => error.code;
        const asynchronous = await lock.acquire({ timeout: 60 }).then(String, code);
        try {
          return [asynchronous, String(lock.acquireSync({ timeout: 60 }))];
        } catch (error) {
          return [asynchronous, code(error as { code: string })];
        }
      }, file);
    const timedOut = ['ERR_LOCK_TIMEOUT', 'ERR_LOCK_TIMEOUT'];
    expect(await waits()).toEqual(timedOut);
    await takeSignals(actor);
    expect(await waits()).toEqual(timedOut); // without a mend, acquireSync waits until the release
    const granted = actor.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      return new FileLock(file).acquire().then((each) => {
        each.release();
        return true;
      });
    }, file);
    guard.release();
    expect(await granted).toBe(true);
  });

  test('a wait that it catches midway is answered all the same, and gives a late grant back', async () => {
    const takeSignals = compileSignalTaker();
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    const actor = await Actor.process();
    await actor.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file);
      const abort = new AbortController();
      const reason = (error: { code?: string; name: string }) => error.code ?? error.name;
      const timeout = lock.acquire({ timeout: 500 }).then(String, reason);
      Object.assign(globalThis, { abort, timeout });
    }, file);
    await untilWaiting(file);
    await takeSignals(actor);
    const timeout = actor.run(() => (globalThis as unknown as { timeout: Promise<string> }).timeout);
    expect(await timeout).toBe('ERR_LOCK_TIMEOUT');
    await untilWaiting(file); // its thread cannot be interrupted, and is still there
    guard.release();
    await expect.poll(() => new FileLock(file).tryAcquire()?.held ?? false, { timeout: 10_000 }).toBe(true);
  });

  test('a worker whose wait it catches midway can be terminated at once', async () => {
    const takeSignals = compileSignalTaker();
    const file = tempLock();
    const guard = new FileLock(file).acquireSync();
    const actor = await Actor.process();
    await actor.run(async (require, file) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const source = `
        const { FileLock } = require(${JSON.stringify(require.resolve('../..'))});
        new FileLock(${JSON.stringify(file)}).acquire({ timeout: 3_600_000 });
      `;
      Object.assign(globalThis, { worker: new Worker(source, { eval: true }) });
    }, file);
    await untilWaiting(file);
    await takeSignals(actor);
    const code = await actor.run(() =>
      (globalThis as unknown as { worker: import('node:worker_threads').Worker }).worker.terminate(),
    );
    expect(code).toBe(1);
    await untilWaiting(file); // its thread is still there, and must give the lock back
    guard.release();
    await expect.poll(() => isFree(file), { timeout: 10_000 }).toBe(true);
  });
});
