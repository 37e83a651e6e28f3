import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FileLock, type LockMechanism } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { CommandContender, isInstalled, pythonCommand } from '../support/command-contender.js';
import { RemoteContender } from '../support/contender.js';
import { tempLock } from '../support/temp-dir.js';

const pairs: [LockMechanism, LockMechanism][] = [
  ['flock', 'fcntl'],
  ['fcntl', 'flock'],
];

describe.each(pairs)('a lock of mechanism %s excludes one of mechanism %s', (mechanism, otherMechanism) => {
  test('of another process', async () => {
    const path = tempLock();
    const other = await RemoteContender.open(await Actor.process(), path, { mechanism: otherMechanism });
    const guard = new FileLock(path, { mechanism }).tryAcquire();
    expect(await other.tryAcquire('shared')).toBeNull();
    guard?.release();
    expect(await other.tryAcquire('shared')).not.toBeNull();
  });

  test('in this thread, where waiting for it would be a deadlock', async () => {
    const path = tempLock();
    const guard = await new FileLock(path, { mechanism }).acquire();
    const other = new FileLock(path, { mechanism: otherMechanism });
    expect(other.tryAcquire()).toBeNull();
    expect(() => other.acquireSync({ timeout: 1000 })).toThrow(expect.objectContaining({ code: 'EDEADLK' }));
    guard.release();
    expect(other.tryAcquire()).not.toBeNull();
  });
});

test.skipIf(!isInstalled('python3'))('a POSIX lock of another program excludes both mechanisms', async () => {
  const path = tempLock();
  const python = new CommandContender(pythonCommand('lockf'), path);
  const held = await python.tryAcquire('exclusive');
  expect(held).not.toBeNull();
  expect(new FileLock(path, { mechanism: 'flock' }).tryAcquire()).toBeNull();
  expect(new FileLock(path, { mechanism: 'fcntl' }).tryAcquire()).toBeNull();
});

test('acquireSync ends at its timeout while another process holds the lock', async () => {
  const path = tempLock();
  const guard = new FileLock(path).acquireSync();
  const actor = await Actor.process();
  const timeout = actor.run((require, path) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    try {
      return String(new FileLock(path).acquireSync({ timeout: 50 }));
    } catch (error) {
      return (error as { code: string }).code;
    }
  }, path);
  // A thread that nothing wakes would block its process for good.
  expect(await Promise.race([timeout, setTimeout(10_000, 'still waiting')])).toBe('ERR_LOCK_TIMEOUT');
  guard.release();
});
