import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempDir } from '../support/temp-dir.js';
import { environment, run } from './support/environment.js';
import { forThisTest, mountTmpfs } from './support/mounts.js';
import { everyWay, GRANTED, hold, startWaiting, verifyIn } from './support/ways.js';

for (const mechanism of ['flock', 'fcntl'] as const) {
  environment(`a directory that goes away, ${mechanism}`, { admin: true, fileSystem: 'tmpfs' }, () => {
    test('removed while the lock is held and awaited: the holder is told, and the waiter gets ENOENT at the release', async () => {
      const directory = path.join(tempDir(), 'gone');
      mkdirSync(directory);
      const file = path.join(directory, 'l');
      const [holder, waiter] = [await Actor.process(), await Actor.process()];
      const release = await hold(holder, file, { mechanism });
      const wait = await startWaiting(waiter, file, { mechanism });
      expect(await verifyIn(holder, file)).toBe('ok');
      rmSync(directory, { recursive: true });
      expect(await verifyIn(holder, file)).toBe('ERR_LOCK_LOST');
      await release();
      expect(await wait.granted()).toBe('ENOENT');
      expect(await everyWay(waiter, file, { mechanism })).toEqual(GRANTED); // a call of its own makes the directory
    });

    test('lazily unmounted while the lock is held and awaited: the holder is told, and the waiter gets what the path names then', async () => {
      const mounted = forThisTest(mountTmpfs());
      const file = path.join(mounted.point, 'l');
      const [holder, waiter] = [await Actor.process(), await Actor.process()];
      const release = await hold(holder, file, { mechanism });
      const wait = await startWaiting(waiter, file, { mechanism });
      run('umount', '--lazy', mounted.point);
      expect(await verifyIn(holder, file)).toBe('ERR_LOCK_LOST');
      await release();
      const granted = await wait.granted();
      rmSync(file, { force: true });
      run('mount', '-t', 'tmpfs', 'native-file-lock', mounted.point); // for what unmounts it after the test
      expect(granted).toBe(true);
    });
  });
}
