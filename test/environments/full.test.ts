import { closeSync, openSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { environment } from './support/environment.js';
import { forThisTest, type Mounted, mountExt4, mountImage, mountTmpfs } from './support/mounts.js';
import { everyWay, failed, GRANTED, HELD, inspectIn, recordIn, releaseRecorded } from './support/ways.js';

/** Writes into a new file until there is no space. Returns what gives it back. */
function fill(directory: string): () => void {
  const name = path.join(directory, 'fill');
  const file = openSync(name, 'w');
  const untilFull = (size: number) => {
    try {
      for (;;) writeSync(file, Buffer.alloc(size, 1));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  };
  for (const size of [64 * 1024, 4096, 1]) untilFull(size);
  closeSync(file);
  return () => unlinkSync(name);
}

/** Makes files until there is no inode for another one. */
function useAllInodes(directory: string): void {
  try {
    for (let number = 0; ; number++) writeFileSync(path.join(directory, `file ${number}`), '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

const DISKS: Record<string, { tools: string[]; mount: () => Mounted }> = {
  tmpfs: { tools: [], mount: () => mountTmpfs('size=64k,nr_inodes=32') },
  ext4: { tools: ['mkfs.ext4'], mount: mountExt4 },
  btrfs: { tools: ['mkfs.btrfs'], mount: () => mountImage(114, ['mkfs.btrfs', '-q', '-f', '--mixed']) },
};

for (const [name, { tools, mount }] of Object.entries(DISKS)) {
  environment(`a full ${name}`, { admin: true, tools, fileSystem: name }, () => {
    test('a lock that cannot be recorded is granted all the same, and excludes others', async () => {
      const { point } = forThisTest(mount());
      const file = path.join(point, 'l');
      writeFileSync(file, '');
      fill(point);
      const [holder, other] = [await Actor.process(), await Actor.process()];
      expect(await recordIn(holder, file)).toMatchObject({ held: true, recorded: false });
      expect(await everyWay(other, file)).toEqual(HELD);
      expect(await releaseRecorded(holder)).toEqual([]);
      expect(await everyWay(other, file)).toEqual(GRANTED);
    });

    test('filled while the lock is held: the release either is recorded, or warns', async () => {
      const { point } = forThisTest(mount());
      const file = path.join(point, 'l');
      const [holder, other] = [await Actor.process(), await Actor.process()];
      expect(await recordIn(holder, file)).toMatchObject({ held: true, recorded: true });
      const makeSpace = fill(point);
      const warnings = await releaseRecorded(holder);
      makeSpace();
      const next = await recordIn(other, file);
      expect(next).toMatchObject({ held: true, recorded: true });
      expect(next.previousHolder).toBe(warnings.length === 0 ? null : holder.pid);
    });
  });
}

environment('a file system without inodes', { admin: true, fileSystem: 'tmpfs' }, () => {
  describe('tmpfs', () => {
    test('a new file is ENOSPC, in a directory that exists or does not; an existing one is locked and recorded', async () => {
      const { point } = forThisTest(mountTmpfs('size=1m,nr_inodes=16'));
      const existing = path.join(point, 'l');
      writeFileSync(existing, '');
      useAllInodes(point);
      const actor = await Actor.process();
      expect(await everyWay(actor, path.join(point, 'new'))).toEqual(failed('ENOSPC open'));
      expect(await everyWay(actor, path.join(point, 'directory', 'new'))).toEqual(failed('ENOSPC mkdir'));
      expect(await everyWay(actor, existing)).toEqual(GRANTED);
      expect(await recordIn(actor, existing)).toMatchObject({ held: true, recorded: true });
      expect((await inspectIn(actor, path.join(point, 'new'))).state).toBe('missing');
    });
  });
});
