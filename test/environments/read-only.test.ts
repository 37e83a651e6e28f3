import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { environment, run } from './support/environment.js';
import { forThisTest, mountExt4, mountReadOnly } from './support/mounts.js';
import { everyWay, failed, GRANTED, HELD, hold, inspectIn, recordIn } from './support/ways.js';

interface ReadOnly {
  /** A lock file that exists. */
  file: string;
  /** The same file where it can be written; null where there is no such place. */
  writable: string | null;
}

const VIEWS: Record<string, () => ReadOnly> = {
  'a read-only bind mount': () => {
    const { point, below } = forThisTest(mountReadOnly());
    writeFileSync(path.join(below, 'l'), '');
    return { file: path.join(point, 'l'), writable: path.join(below, 'l') };
  },
  'a file system that is mounted read-only': () => {
    const { point } = forThisTest(mountExt4());
    const file = path.join(point, 'l');
    writeFileSync(file, '');
    run('mount', '-o', 'remount,ro', point);
    return { file, writable: null };
  },
};

for (const [name, mount] of Object.entries(VIEWS)) {
  environment(name, { admin: true, tools: ['mkfs.ext4'] }, () => {
    test('an existing file is locked by flock in both modes, and excludes other processes', async () => {
      const { file, writable } = mount();
      const [holder, other] = [await Actor.process(), await Actor.process()];
      expect(await everyWay(other, file)).toEqual(GRANTED);
      expect(await everyWay(other, file, { mode: 'shared' })).toEqual(GRANTED);
      const release = await hold(holder, file);
      expect(await everyWay(other, file)).toEqual(HELD);
      expect(await everyWay(other, file, { mode: 'shared' })).toEqual(HELD);
      if (writable !== null) expect(await everyWay(other, writable)).toEqual(HELD);
      expect((await inspectIn(other, file)).state).toBe('held');
      await release();
      expect((await inspectIn(other, file)).state).toBe('free');
    });

    test('fcntl locks it in the shared mode; the exclusive one needs a file that is open for writing: EROFS', async () => {
      const { file } = mount();
      const other = await Actor.process();
      expect(await everyWay(other, file, { mechanism: 'fcntl', mode: 'shared' })).toEqual(GRANTED);
      expect(await everyWay(other, file, { mechanism: 'fcntl' })).toEqual(failed('EROFS open'));
    });

    test('the lock is granted with no record', async () => {
      const { file } = mount();
      const outcome = await recordIn(await Actor.process(), file);
      expect(outcome).toEqual({ held: true, recorded: false, previousHolder: null, warnings: [] });
    });

    test('a file that does not exist is EROFS, in a directory that exists or does not', async () => {
      const { file } = mount();
      const other = await Actor.process();
      expect(await everyWay(other, `${file}.new`)).toEqual(failed('EROFS open'));
      expect(await everyWay(other, path.join(path.dirname(file), 'new', 'l'))).toEqual(failed('EROFS mkdir'));
    });
  });
}
