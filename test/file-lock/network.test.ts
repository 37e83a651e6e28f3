import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { alleged, hasShm, NFS, shmDir } from '../support/alleged-network.js';
import { FaultyActor, hasCompiler } from '../support/c-fixture.js';
import { isFree } from '../support/is-free.js';
import { RecordingActor } from '../support/jobs.js';

const { EACCES, EAGAIN, EBADF, EIO, ESTALE } = constants.errno;
const NINE_P = 0x01021997;

/** A file that is alleged to be on a network file system, and an actor that knows it to be there. */
async function onNetwork({ type = NFS, faults = [] as string[] } = {}) {
  const file = path.join(shmDir(), 'lock');
  const faulty = await FaultyActor.start();
  faulty.inject(alleged(type));
  await faulty.actor.run((require, file) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    new FileLock(file).tryAcquire()?.release();
    const describeError = (error: { code?: string; syscall?: string; message: string }) =>
      [error.code ?? error.message, error.syscall].filter(Boolean).join(' ');
    Object.assign(globalThis, { describeError });
  }, file);
  const inject = (...lines: string[]) => faulty.inject(...lines, alleged(type));
  inject(...faults);
  return { file, faulty, inject, actor: faulty.actor };
}

type Options = import('../../lib/index.js').FileLockOptions;

/** What an acquisition in the actor comes to, each way. */
function acquire({ actor, file }: Awaited<ReturnType<typeof onNetwork>>, options: Options = {}) {
  return actor.run(
    async (require, [file, options]) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file, options);
      const { describeError } = globalThis as unknown as { describeError: (error: unknown) => string };
      try {
        const guard = await lock.acquire();
        const { held, fencingToken, previousHolder } = guard;
        guard.release();
        return { held, recorded: fencingToken !== null, previousHolder: previousHolder?.pid ?? null };
      } catch (error) {
        return describeError(error);
      }
    },
    [file, options] as [string, Options],
  );
}

const granted = { held: true, recorded: false, previousHolder: null };

describe.skipIf(!hasCompiler || !hasShm)('on a network file system', () => {
  test.each(['open', 'flock', 'statx-ask', 'fdatasync'])(
    'acquire does not block the event loop in %s',
    async (call) => {
      const { actor, file } = await onNetwork({ faults: [`${call} sleep 100`] });
      const turned = await actor.run(async (require, file) => {
        const { FileLock } = require('../..') as typeof import('../../lib/index.js');
        let turned = false;
        setImmediate(() => {
          turned = true;
        });
        const guard = await new FileLock(file, { recordHolder: true }).acquire();
        return turned && guard.fencingToken !== null;
      }, file);
      expect(turned).toBe(true);
    },
  );

  test.each(['open', 'flock', 'statx-ask'])('ESTALE of %s means that the file was replaced', async (call) => {
    const network = await onNetwork({ faults: [`${call} errno ${ESTALE} 3`] });
    expect(await acquire(network)).toEqual(granted);
    expect(network.faulty.left()).not.toContain(call);
  });

  test.each(['open', 'flock', 'statx-ask'])('ESTALE of %s without an end is an error', async (call) => {
    expect(await acquire(await onNetwork({ faults: [`${call} errno ${ESTALE} 100000`] }))).toMatch(/^ESTALE /);
  });

  test('a grant whose path cannot be asked for on the server is an error, and nothing stays locked', async () => {
    const network = await onNetwork({ faults: [`statx-ask errno ${EIO} 1`] });
    expect(await acquire(network)).toBe('EIO stat');
    using guard = new FileLock(network.file).tryAcquire();
    expect(guard?.held).toBe(true);
  });

  test('a file that is replaced after the grant is noticed on the server', async () => {
    const network = await onNetwork();
    const other = `${network.file}-other`;
    writeFileSync(other, '');
    network.inject(`statx-ask rename ${other} ${network.file}`);
    expect(await acquire(network)).toEqual(granted);
  });

  test('missing parents are made; without createParents they are missed', async () => {
    const network = await onNetwork();
    const nested = { ...network, file: path.join(path.dirname(network.file), 'one/two/lock') };
    // The first attempt of a path is made by this thread, unless the mount table tells; the second by another.
    expect(await acquire(nested, { createParents: false })).toBe('ENOENT open');
    await network.actor.run(
      (require, [file, other]) => {
        const { FileLock } = require('../..') as typeof import('../../lib/index.js');
        new FileLock(file).tryAcquire()?.release();
        (require('node:fs') as typeof import('node:fs')).rmSync(other, { recursive: true });
      },
      [nested.file, path.join(path.dirname(network.file), 'one')] as [string, string],
    );
    expect(await acquire(nested, { createParents: false })).toBe('ENOENT open');
    expect(await acquire(nested)).toEqual(granted);
  });

  test('the error of a file that can be read only is that of opening it', async () => {
    const faults = [`open errno ${EACCES} 2`, `flock errno ${EBADF} 1`];
    expect(await acquire(await onNetwork({ faults }))).toBe('EACCES open');
  });

  test('a record is written, and its previous holder told', async () => {
    const network = await onNetwork();
    const options = { recordHolder: true };
    expect(await acquire(network, options)).toEqual({ ...granted, recorded: true });
    expect(readFileSync(network.file, 'latin1')).toContain('state released');
    const pid = await network.actor.run(async (require, file) => {
      const { spawnSync } = require('node:child_process') as typeof import('node:child_process');
      const source = `
        const { FileLock } = require(${JSON.stringify(require.resolve('../..'))});
        new FileLock(${JSON.stringify(file)}, { recordHolder: true }).acquireSync();
      `;
      return spawnSync(process.execPath, ['-e', source]).pid;
    }, network.file);
    expect(await acquire(network, options)).toEqual({ ...granted, recorded: true, previousHolder: pid });
    expect(await acquire(network, options)).toEqual({ ...granted, recorded: true });
  });

  test('a record that does not reach the server is none', async () => {
    const network = await onNetwork({ faults: [`fdatasync errno ${EIO} 1`] });
    expect(await acquire(network, { recordHolder: true })).toEqual(granted);
  });

  test('an abort while the record is written is answered at once, and the record is taken back', async () => {
    const { actor, file } = await onNetwork({ faults: ['fdatasync sleep 300'] });
    const aborted = await actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const { readFileSync } = require('node:fs') as typeof import('node:fs');
      const controller = new AbortController();
      const wait = new FileLock(file, { recordHolder: true }).acquire({ signal: controller.signal });
      const end = wait.then(
        () => 'granted',
        (error) => error,
      );
      while (!readFileSync(file, 'latin1').includes('state held')) await new Promise(setImmediate);
      controller.abort('aborted');
      return end;
    }, file);
    expect(aborted).toBe('aborted');
    const lock = new FileLock(file, { recordHolder: true });
    await expect.poll(() => lock.inspect().state, { timeout: 10_000 }).toBe('free');
    using guard = lock.tryAcquire();
    expect(guard?.previousHolder).toBeNull();
  });

  test('a deadline comes on time while the file is being opened, and a late grant is given back', async () => {
    const network = await onNetwork({ faults: ['open sleep 300'] });
    const { actor, file } = network;
    const code = await actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      return new FileLock(file).acquire({ timeout: 20 }).then(String, (error) => error.code);
    }, file);
    expect(code).toBe('ERR_LOCK_TIMEOUT');
    expect(network.faulty.left()).not.toContain('sleep'); // it was being opened
    await expect.poll(() => isFree(file), { timeout: 10_000 }).toBe(true);
  });

  test('a timeout of 0 is one attempt, which passes the queue', async () => {
    const { actor, file } = await onNetwork();
    const ends = await actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file, { timeout: 0, mode: 'shared' });
      const [first, second] = await Promise.all([lock.acquire(), lock.acquire()]);
      const waiting = lock.acquire({ mode: 'exclusive', timeout: 60_000 });
      const third = await lock.acquire();
      const exclusive = await lock.acquire({ mode: 'exclusive' }).then(String, (error) => error.code);
      for (const guard of [first, second, third]) guard.release();
      const last = await waiting;
      return [exclusive, last.held];
    }, file);
    expect(ends).toEqual(['ERR_LOCK_TIMEOUT', true]);
  });

  test('waiters of one thread are granted in FIFO order', async () => {
    const { actor, file } = await onNetwork();
    const order = await actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file, { recordHolder: true, keepOpen: true });
      const order: number[] = [];
      const take = async (index: number) => {
        const guard = await lock.acquire();
        order.push(index);
        await new Promise(setImmediate);
        guard.release();
      };
      await Promise.all([0, 1, 2, 3, 4].map(take));
      return order;
    }, file);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  test('acquireSync passes an attempt that is under way', async () => {
    const { actor, file } = await onNetwork();
    const ends = await actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file, { recordHolder: true });
      const wait = lock.acquire();
      const guard = lock.acquireSync({ timeout: 10_000 });
      const { previousHolder } = guard;
      guard.release();
      const late = await wait;
      return [previousHolder, late.held, late.previousHolder];
    }, file);
    expect(ends).toEqual([null, true, null]);
  });

  test('a timeout names the holder that has recorded itself', async () => {
    const { actor, file } = await onNetwork();
    using guard = new FileLock(file, { recordHolder: true }).tryAcquire();
    expect(guard?.held).toBe(true);
    const ends = await actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      let reported: number | undefined;
      const onWait = (report: import('../../lib/index.js').LockReport) => {
        reported = report.holder?.pid;
      };
      const holder = await new FileLock(file).acquire({ timeout: 300, onWait }).catch((error) => error.holder?.pid);
      return [reported, holder];
    }, file);
    expect(ends).toEqual([process.pid, process.pid]);
  });

  test('a lock that the server has given to another machine is lost', async () => {
    const { actor, file, inject } = await onNetwork();
    const hold = actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const guard = await new FileLock(file).acquire();
      guard.verify();
      Object.assign(globalThis, { guard });
    }, file);
    await hold;
    inject('getlk errno 1 1');
    const verify = actor.run(() => {
      try {
        (globalThis as unknown as { guard: { verify(): void } }).guard.verify();
        return 'held';
      } catch (error) {
        return (error as { code: string }).code;
      }
    });
    expect(await verify).toBe('ERR_LOCK_LOST');
    inject('getlk errno 1 1');
    const lost = actor.run(async () => {
      const { guard } = globalThis as unknown as { guard: import('../../lib/index.js').LockGuard };
      const { lost } = guard;
      if (!lost.aborted) await new Promise((resolve) => lost.addEventListener('abort', resolve));
      return [lost.reason.code, guard.held];
    });
    expect(await lost).toEqual(['ERR_LOCK_LOST', true]);
  });

  test('a worker that ends before its record is delivered leaves the abandoned holder to be told', async () => {
    const { file, inject, actor } = await onNetwork();
    const dead = await RecordingActor.holding(file);
    dead.actor.signal('SIGKILL');
    inject('pwrite sleep 100');
    const next = await actor.run(async (require, file) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      // The record is written while this thread is blocked, so that its delivery comes when the worker ends.
      const code = (library: string, file: string) => {
        const { parentPort } = require('node:worker_threads') as typeof import('node:worker_threads');
        const { readFileSync } = require('node:fs') as typeof import('node:fs');
        const { FileLock } = require(library) as typeof import('../../lib/index.js');
        const content = () => readFileSync(file, 'latin1');
        const before = content();
        new FileLock(file).tryAcquire()?.release(); // learns that the file is on a server
        void new FileLock(file, { recordHolder: true }).acquire().then(() => parentPort?.postMessage('delivered'));
        const block = () => {
          const until = Date.now() + 300;
          while (content() === before && Date.now() < until);
          if (content() === before) return void setImmediate(block);
          parentPort?.postMessage('written');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
        };
        setImmediate(block);
      };
      const library = JSON.stringify(require.resolve('../..'));
      const worker = new Worker(`(${code})(${library}, ${JSON.stringify(file)})`, { eval: true });
      const message = await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
      const guard = await new FileLock(file, { recordHolder: true }).acquire();
      guard.release();
      return { message, previous: guard.previousHolder?.pid };
    }, file);
    expect(next).toEqual({ message: 'written', previous: dead.actor.pid });
  });

  test('a worker that waits for a server can be terminated, and gives back what it may be granted', async () => {
    const { actor, file } = await onNetwork({ faults: ['flock sleep 300'] });
    const code = await actor.run(async (require, file) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const { readFileSync } = require('node:fs') as typeof import('node:fs');
      const source = `
        const { FileLock } = require(${JSON.stringify(require.resolve('../..'))});
        require('node:worker_threads').parentPort.postMessage('on its way');
        new FileLock(${JSON.stringify(file)}).acquire();
      `;
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve) => worker.once('message', resolve));
      while (readFileSync(process.env.FAULTS as string, 'latin1').includes('sleep')) await new Promise(setImmediate);
      return worker.terminate();
    }, file);
    expect(code).toBe(1);
    await expect.poll(() => isFree(file), { timeout: 10_000 }).toBe(true);
  });

  test.each([
    { what: 'refuses to block', type: NFS, faults: [`flock-wait errno ${EAGAIN} 100000`] },
    { what: 'is known not to wait', type: NINE_P, faults: [`flock-wait errno ${EIO} 100000`] },
  ])('a wait on a file system that $what is polled', async ({ type, faults }) => {
    const { actor, file } = await onNetwork({ type, faults });
    const holder = new FileLock(file).tryAcquire();
    const codes = await actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const lock = new FileLock(file);
      const codes = [await lock.acquire({ timeout: 50 }).catch((error) => error.code)];
      try {
        lock.acquireSync({ timeout: 50 });
      } catch (error) {
        codes.push((error as { code: string }).code);
      }
      return codes;
    }, file);
    expect(codes).toEqual(['ERR_LOCK_TIMEOUT', 'ERR_LOCK_TIMEOUT']);
    const granted = actor.run(async (require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      const guard = await new FileLock(file).acquire();
      guard.release();
      return new FileLock(file).acquireSync().held;
    }, file);
    holder?.release();
    expect(await granted).toBe(true);
  });
});
