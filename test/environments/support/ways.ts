import { expect } from 'vitest';
import type { FileLockOptions, LockReport } from '../../../lib/index.js';
import type { Actor } from '../../support/actor.js';

/** What each way of taking a lock came to: `granted`, `held`, `aborted`, or the code and system call of a LockError. */
export type Ways = Record<'tryAcquire' | 'acquireSync' | 'acquire' | 'aborted', string>;

export const GRANTED: Ways = { tryAcquire: 'granted', acquireSync: 'granted', acquire: 'granted', aborted: 'granted' };
/** Of a lock that somebody else holds all the time. */
export const HELD: Ways = { tryAcquire: 'held', acquireSync: 'timeout', acquire: 'timeout', aborted: 'aborted' };
export const failed = (error: string): Ways => ({
  tryAcquire: error,
  acquireSync: error,
  acquire: error,
  aborted: error,
});

/**
 * Takes the lock of a path in every way, and releases it. Whatever else than a {@link FileLock}'s errors is thrown
 * shows as `untyped`.
 */
export function everyWay(actor: Actor, path: string, options: FileLockOptions = {}): Promise<Ways> {
  return actor.run(
    async (require, [path, options]) => {
      const { FileLock, LockError, LockTimeoutError } = require('../..') as typeof import('../../../lib/index.js');
      const lock = new FileLock(path, options);
      const give = (guard: import('../../../lib/index.js').LockGuard | null) => {
        guard?.release();
        return guard === null ? 'held' : 'granted';
      };
      const describe = (error: unknown) => {
        if (error instanceof LockTimeoutError) return 'timeout';
        if (error instanceof LockError) return [error.code, error.syscall].filter(Boolean).join(' ');
        return (error as Error).name === 'AbortError' ? 'aborted' : `untyped ${error}`;
      };
      const attempt = (take: () => string) => {
        try {
          return take();
        } catch (error) {
          return describe(error);
        }
      };
      const abort = new AbortController();
      const aborted = lock.acquire({ timeout: Number.POSITIVE_INFINITY, signal: abort.signal }).then(give, describe);
      // Once a wait that began later has ended, the first one waits in the kernel, if it waits at all.
      const acquire = await new FileLock(path, options).acquire({ timeout: 50 }).then(give, describe);
      abort.abort();
      return {
        tryAcquire: attempt(() => give(lock.tryAcquire())),
        acquireSync: attempt(() => give(lock.acquireSync({ timeout: 50 }))),
        acquire,
        aborted: await aborted,
      };
    },
    [path, options] as [string, FileLockOptions],
  );
}

type Named = { pid: number; running: boolean | null } | null;

function holderOfTimeout(actor: Actor, path: string): Promise<Named> {
  return actor.run(async (require, path) => {
    const { FileLock, LockTimeoutError } = require('../..') as typeof import('../../../lib/index.js');
    try {
      await new FileLock(path).acquire({ timeout: 100 });
    } catch (error) {
      if (!(error instanceof LockTimeoutError)) throw error;
      return error.holder && { pid: error.holder.pid, running: error.holder.running };
    }
    throw new Error('the lock was granted');
  }, path);
}

/** A busy machine reads the kernel's table too late for some waits; their errors name nobody. */
const MOST_WAITS = 50;

/** Asserts who is named by the error of a wait that times out: nobody (null), or that holder and never another one. */
export async function expectTimeoutToName(actor: Actor, path: string, expected: Named): Promise<void> {
  let named = await holderOfTimeout(actor, path);
  for (let waits = 1; named === null && expected !== null && waits < MOST_WAITS; waits++) {
    named = await holderOfTimeout(actor, path);
  }
  expect(named).toEqual(expected);
}

/** Takes the lock and writes who holds it. Keeps it until the actor ends. */
export function recordIn(
  actor: Actor,
  path: string,
): Promise<{ held: boolean; recorded: boolean; previousHolder: number | null; warnings: string[] }> {
  return actor.run(async (require, path) => {
    const { FileLock } = require('../..') as typeof import('../../../lib/index.js');
    const warnings: string[] = [];
    process.on('warning', ({ message }) => warnings.push(message));
    const guard = await new FileLock(path, { recordHolder: true }).acquire({ timeout: 5000 });
    Object.assign(globalThis, { recorded: guard, warnings });
    const { held, fencingToken, previousHolder } = guard;
    return { held, recorded: fencingToken !== null, previousHolder: previousHolder?.pid ?? null, warnings };
  }, path);
}

/** Releases it. Resolves with the warnings that the process has emitted. */
export function releaseRecorded(actor: Actor): Promise<string[]> {
  return actor.run(async () => {
    const { recorded, warnings } = globalThis as unknown as { recorded: { release(): void }; warnings: string[] };
    recorded.release();
    await new Promise((resolve) => setImmediate(resolve)); // warnings are emitted in a later turn
    return warnings;
  });
}

/** `ok` when the guard of {@link hold} still holds the lock of its path, else the code of the error. */
export function verifyIn(actor: Actor, path: string): Promise<string> {
  return actor.call('evaluate', {
    code: "try { guards.get(argument).verify(); return 'ok'; } catch (error) { return error.code; }",
    argument: path,
  });
}

export function inspectIn(actor: Actor, path: string): Promise<LockReport> {
  return actor.run((require, path) => {
    const { FileLock } = require('../..') as typeof import('../../../lib/index.js');
    return new FileLock(path).inspect();
  }, path);
}

/** Takes the lock in the actor, and keeps it until `release` or the actor's end. */
export async function hold(actor: Actor, path: string, options: FileLockOptions = {}): Promise<() => Promise<void>> {
  await actor.call('open', { lock: path, path, options });
  await actor.call('acquire', { lock: path, guard: path, options: { timeout: 10_000 } });
  return async () => void (await actor.call('release', { guard: path }));
}

/**
 * Starts to wait for the lock in the actor. Once this has resolved the actor has tried, in vain, and waits. `granted`
 * resolves with whether the guard is held, which is released at once, or with the error's code.
 */
export async function startWaiting(
  actor: Actor,
  path: string,
  options: FileLockOptions = {},
): Promise<{ granted: () => Promise<boolean | string> }> {
  const key = `wait ${path}`;
  await actor.run(
    async (require, [key, path, options]) => {
      const { FileLock } = require('../..') as typeof import('../../../lib/index.js');
      const lock = new FileLock(path, { timeout: Number.POSITIVE_INFINITY, ...options });
      const waiting = lock.acquire().then(
        (guard) => {
          const { held } = guard;
          guard.release();
          return held;
        },
        (error) => error.code,
      );
      Object.assign(globalThis, { [key]: waiting });
      // A wait that began later has ended: where threads try, this one has tried, too.
      await new FileLock(path, options).acquire({ timeout: 50 }).then(
        () => Promise.reject(new Error('the lock was free')),
        () => {},
      );
    },
    [key, path, options] as [string, string, FileLockOptions],
  );
  return {
    granted: () => actor.run((_, key) => (globalThis as unknown as Record<string, boolean | string>)[key] ?? '', key),
  };
}

/** How many descriptors the actor has open, once the waits that were given up have closed theirs. */
export function descriptorsOf(actor: Actor): Promise<number> {
  return actor.run((require) => {
    const { readdirSync } = require('node:fs') as typeof import('node:fs');
    return readdirSync('/proc/self/fd').length;
  });
}
