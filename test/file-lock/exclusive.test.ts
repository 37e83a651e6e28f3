import { expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

test('an exclusive lock of one process excludes another process', async () => {
  const path = tempLock();
  const actor = await Actor.process();
  await actor.call('open', { lock: 'a', path });
  await actor.call('acquire', { lock: 'a', guard: 'g' });
  const lock = new FileLock(path);
  expect(lock.tryAcquire()).toBeNull();
  await actor.call('release', { guard: 'g' });
  const guard = lock.tryAcquire();
  expect(guard?.held).toBe(true);
  guard?.release();
});
