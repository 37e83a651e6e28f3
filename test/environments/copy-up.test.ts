import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempDir } from '../support/temp-dir.js';
import { asUser, environment, NOBODY } from './support/environment.js';
import { forThisTest, mountOverlay, mountTmpfs } from './support/mounts.js';
import { everyWay, GRANTED, HELD, hold, inspectIn, startWaiting, verifyIn } from './support/ways.js';

/** A process that can open the lower file for reading only, which copies nothing up. */
const startReader = () => Actor.process({ through: asUser(NOBODY) });

/** A file of the lower layer that everybody may read and root write. */
function lowerFile(isOneFileSystem: boolean): { file: string; isCopiedUp: () => boolean } {
  const lower = isOneFileSystem ? tempDir() : forThisTest(mountTmpfs()).point;
  chmodSync(lower, 0o755);
  writeFileSync(path.join(lower, 'l'), '', { mode: 0o644 });
  const upper = tempDir();
  const { point } = forThisTest(mountOverlay(lower, upper));
  return { file: path.join(point, 'l'), isCopiedUp: () => existsSync(path.join(upper, 'changes/l')) };
}

// The lock is on the inode of the overlay, which stays the same one while it is in use.
for (const [layers, isOneFileSystem] of [
  ['both layers on one file system', true],
  ['layers on two file systems', false],
] as const) {
  const name = `a file of the lower layer of an overlay, ${layers}`;
  environment(name, { admin: true, fileSystem: 'overlay', tools: ['setpriv'], nobody: true }, () => {
    test('opening it for writing copies it up, and it is locked like any other file', async () => {
      const { file, isCopiedUp } = lowerFile(isOneFileSystem);
      const [holder, other] = [await Actor.process(), await Actor.process()];
      const release = await hold(holder, file);
      expect(isCopiedUp()).toBe(true);
      expect(await everyWay(other, file)).toEqual(HELD);
      expect(await verifyIn(holder, file)).toBe('ok');
      // The kernel's table has the overlay's device number, which files of another lower file system do not show.
      expect((await inspectIn(other, file)).state).toBe(isOneFileSystem ? 'held' : 'unknown');
      await release();
      expect((await inspectIn(other, file)).state).toBe(isOneFileSystem ? 'free' : 'unknown');
      expect(await everyWay(other, file)).toEqual(GRANTED);
    });

    test('a reader that holds it keeps it when another process copies it up', async () => {
      const { file, isCopiedUp } = lowerFile(isOneFileSystem);
      const [reader, writer] = [await startReader(), await Actor.process()];
      const release = await hold(reader, file);
      expect(isCopiedUp()).toBe(false);
      expect(await everyWay(writer, file)).toEqual(HELD); // copies it up
      expect(isCopiedUp()).toBe(true);
      expect(await verifyIn(reader, file)).toBe('ok');
      await release();
      expect(await everyWay(writer, file)).toEqual(GRANTED);
    });

    test('a reader that waits for it when it is copied up is granted the lock, and excludes others', async () => {
      const { file, isCopiedUp } = lowerFile(isOneFileSystem);
      const [holder, waiter, writer] = [await startReader(), await startReader(), await Actor.process()];
      const release = await hold(holder, file);
      const wait = await startWaiting(waiter, file);
      chmodSync(file, 0o664); // copies it up
      expect(isCopiedUp()).toBe(true);
      expect(await everyWay(writer, file)).toEqual(HELD);
      await release();
      expect(await wait.granted()).toBe(true);
      const releaseSecond = await hold(waiter, file);
      expect(await everyWay(writer, file)).toEqual(HELD);
      await releaseSecond();
      expect(await everyWay(writer, file)).toEqual(GRANTED);
    });
  });
}
