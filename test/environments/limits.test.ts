import { chmodSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempDir } from '../support/temp-dir.js';
import { asUser, environment, NOBODY, run } from './support/environment.js';
import { hasPidsController, PidsCgroup } from './support/pids-cgroup.js';
import {
  descriptorsOf,
  everyWay,
  expectTimeoutToName,
  failed,
  GRANTED,
  HELD,
  hold,
  startWaiting,
} from './support/ways.js';

/** A user without privileges that no other process has, so that its limit counts the actor's threads only. */
const LONELY = 64_321;

/** In bytes, of address space. With 32 MiB Node itself ends now and then (std::bad_alloc). */
const ROOM = 256 * 1024 * 1024;

/** A lock file that every user can make. */
function sharedFile(): string {
  const directory = tempDir();
  chmodSync(directory, 0o777);
  return path.join(directory, 'l');
}

const startHolder = async () => {
  const actor = await Actor.process();
  await actor.run(() => void process.umask(0));
  return actor;
};

/** Waits under a limit end by timeout, abort and grant as anywhere. */
async function expectWaitsToEnd(limited: Actor, file: string): Promise<void> {
  const holder = await startHolder();
  for (const mechanism of ['flock', 'fcntl'] as const) {
    const options = { mechanism, fileMode: 0o666 };
    const release = await hold(holder, file, options);
    expect(await everyWay(limited, file, options)).toEqual(HELD);
    const wait = await startWaiting(limited, file, options);
    await release();
    expect(await wait.granted()).toBe(true);
    expect(await everyWay(limited, file, options)).toEqual(GRANTED);
  }
}

/** Starts the pool of libuv, as most programs do; it ends the process where it cannot start its threads. */
async function startPool(actor: Actor): Promise<void> {
  await actor.run(async (require) => {
    await (require('node:fs/promises') as typeof import('node:fs/promises')).readFile('/proc/self/status');
  });
}

environment('RLIMIT_NOFILE', { tools: ['prlimit'] }, () => {
  const startLimited = () => Actor.process({ through: ['prlimit', '--nofile=64'] });

  /** Opens whatever can be opened. */
  const useAll = (actor: Actor) =>
    actor.run((require) => {
      const fs = require('node:fs') as typeof import('node:fs');
      const files: number[] = [];
      try {
        for (;;) files.push(fs.openSync('/dev/null', 'r'));
      } catch {}
      Object.assign(globalThis, { files });
      return files.length;
    });
  const giveBack = (actor: Actor) =>
    actor.run((require) => {
      const { closeSync } = require('node:fs') as typeof import('node:fs');
      for (const file of (globalThis as unknown as { files: number[] }).files) closeSync(file);
    });

  test('reached, opening fails with EMFILE; afterwards locks work again, and nothing has stayed open', async () => {
    const file = sharedFile();
    const limited = await startLimited();
    expect(await everyWay(limited, file)).toEqual(GRANTED);
    const descriptors = await descriptorsOf(limited);
    expect(await useAll(limited)).toBeGreaterThan(0);
    expect(await everyWay(limited, file)).toEqual(failed('EMFILE open'));
    await giveBack(limited);
    expect(await everyWay(limited, file)).toEqual(GRANTED);
    expect(await descriptorsOf(limited)).toBeLessThanOrEqual(descriptors);
  });

  test('reached while a wait is on its way, the wait is granted', async () => {
    const file = sharedFile();
    const [holder, limited] = [await startHolder(), await startLimited()];
    const release = await hold(holder, file);
    const wait = await startWaiting(limited, file);
    expect(await useAll(limited)).toBeGreaterThan(0);
    await release();
    expect(await wait.granted()).toBe(true);
    await giveBack(limited);
  });

  test('reached while a wait is on its way, its timeout names no holder, or the right one', async () => {
    const file = sharedFile();
    const [holder, limited] = [await startHolder(), await startLimited()];
    const release = await hold(holder, file);
    await everyWay(limited, file);
    await startWaiting(limited, file);
    await useAll(limited);
    const other = await limited.run((require, file) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      return new FileLock(file).acquire({ timeout: 100 }).then(
        () => 'granted',
        ({ code, holder }) => ({ code, holder: holder?.pid ?? null }),
      );
    }, file);
    expect([
      { code: 'ERR_LOCK_TIMEOUT', holder: null },
      { code: 'ERR_LOCK_TIMEOUT', holder: holder.pid },
      { code: 'EMFILE', holder: null },
    ]).toContainEqual(other);
    await giveBack(limited);
    await release();
  });

  const reachedAtFirstUse = async (file: string) => {
    const limited = await startLimited();
    await useAll(limited);
    const ways = Object.values(await everyWay(limited, file));
    await giveBack(limited);
    return { limited, ways };
  };

  test('reached at the first use, nothing is granted, and a later lock is', async () => {
    const file = sharedFile();
    const { limited, ways } = await reachedAtFirstUse(file);
    expect(ways).not.toContain('granted');
    expect(await everyWay(limited, file)).toEqual(GRANTED);
  });

  test('reached at the first use, the error is a LockError', async () => {
    const { ways } = await reachedAtFirstUse(sharedFile());
    for (const outcome of ways) expect(outcome).toMatch(/^(ERR_LOCK_UNSUPPORTED|EMFILE)\b/);
  });
});

environment('RLIMIT_SIGPENDING 0: no timer can be made, and waits are polled', { tools: ['prlimit'] }, () => {
  test('waits time out, are aborted and are granted', async () => {
    await expectWaitsToEnd(await Actor.process({ through: ['prlimit', '--sigpending=0'] }), sharedFile());
  });
});

environment('RLIMIT_SIGPENDING 0 of an unprivileged user', { tools: ['prlimit', 'setpriv'], nobody: true }, () => {
  test('waits time out, are aborted and are granted', async () => {
    const through = [...asUser(NOBODY), 'prlimit', '--sigpending=0'];
    await expectWaitsToEnd(await Actor.process({ through }), sharedFile());
  });
});

environment('RLIMIT_FSIZE 0: no file can grow', { tools: ['prlimit'] }, () => {
  // A record would end the process by SIGXFSZ, as any write of Node's does.
  test('a lock that is not recorded writes nothing, and is granted', async () => {
    await expectWaitsToEnd(await Actor.process({ through: ['prlimit', '--fsize=0'] }), sharedFile());
  });
});

// Threads that cannot be started are a matter of RLIMIT_NPROC: Node itself needs more room than they do.
environment('RLIMIT_AS: the address space has little room left', { tools: ['prlimit'] }, () => {
  test('waits time out, are aborted and are granted', async () => {
    const limited = await Actor.process();
    const file = sharedFile();
    await startPool(limited);
    await everyWay(limited, file, { fileMode: 0o666 });
    const kilobytes = await limited.run((require) => {
      const { readFileSync } = require('node:fs') as typeof import('node:fs');
      return Number(/^VmSize:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
    });
    run('prlimit', '--pid', String(limited.pid), `--as=${kilobytes * 1024 + ROOM}`);
    await expectWaitsToEnd(limited, file);
  });
});

const needsNobody = { admin: true, tools: ['prlimit', 'setpriv'], nobody: true };

environment('RLIMIT_NPROC reached by an unprivileged user: no thread can be started', needsNobody, () => {
  const startLimited = async ({ pool }: { pool: boolean }) => {
    const limited = await Actor.process({ through: asUser(LONELY) });
    if (pool) await startPool(limited);
    const [setpriv, ...as] = asUser(LONELY);
    run(setpriv, ...as, 'prlimit', '--pid', String(limited.pid), '--nproc=1:1');
    return limited;
  };

  test('waits are polled: they time out, are aborted and are granted', async () => {
    await expectWaitsToEnd(await startLimited({ pool: true }), sharedFile());
  });

  test('a process whose pool has no threads yet is not ended by a wait', async () => {
    const file = sharedFile();
    const holder = await startHolder();
    const release = await hold(holder, file, { fileMode: 0o666 });
    const limited = await startLimited({ pool: false });
    await expectTimeoutToName(limited, file, { pid: holder.pid, running: true });
    await release();
  });
});

const needsPids = { admin: true, other: [['the pids controller of cgroups', hasPidsController]] } as const;

environment('a pids cgroup at its maximum: no thread can be started', needsPids, () => {
  test('waits are polled: they time out, are aborted and are granted', async () => {
    const cgroup = new PidsCgroup();
    const limited = await Actor.process();
    await startPool(limited);
    cgroup.add(limited.pid);
    cgroup.close();
    await expectWaitsToEnd(limited, sharedFile());
  });

  test('the lock of a holder that was killed there is granted', async () => {
    const cgroup = new PidsCgroup();
    const file = sharedFile();
    const [limited, other] = [await Actor.process(), await Actor.process()];
    await startPool(limited);
    cgroup.add(limited.pid);
    cgroup.close();
    await hold(limited, file);
    const wait = await startWaiting(other, file);
    limited.signal('SIGKILL');
    expect(await wait.granted()).toBe(true);
  });
});
