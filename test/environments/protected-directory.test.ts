import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { tempDir } from '../support/temp-dir.js';
import { asUser, environment, NOBODY } from './support/environment.js';
import { everyWay, GRANTED, HELD, hold } from './support/ways.js';

const SETTING = '/proc/sys/fs/protected_regular';
const OTHER_USER = 64_322;

// proc(5): with 2, O_CREAT of another user's file in a sticky directory that others can write is EACCES, also for root.
environment('a protected sticky directory', { admin: true, tools: ['setpriv'], nobody: true }, () => {
  test("another user's lock file is locked, by root and by others, and excludes", async () => {
    const before = readFileSync(SETTING);
    onTestFinished(() => writeFileSync(SETTING, before));
    writeFileSync(SETTING, '2');
    const directory = path.join(tempDir());
    chmodSync(directory, 0o1777);
    const file = path.join(directory, 'l');
    writeFileSync(file, '');
    chmodSync(file, 0o666);
    chownSync(file, NOBODY, NOBODY);
    const root = await Actor.process();
    const other = await Actor.process({ through: asUser(OTHER_USER) });
    const create = (actor: Actor) =>
      actor.run((require, file) => {
        try {
          (require('node:fs') as typeof import('node:fs')).openSync(file, 'a');
          return 'opened';
        } catch (error) {
          return (error as NodeJS.ErrnoException).code;
        }
      }, file);
    expect([await create(root), await create(other)]).toEqual(['EACCES', 'EACCES']); // so it is protected
    for (const mechanism of ['flock', 'fcntl'] as const) {
      expect(await everyWay(root, file, { mechanism })).toEqual(GRANTED);
      expect(await everyWay(other, file, { mechanism })).toEqual(GRANTED);
      const release = await hold(root, file, { mechanism });
      expect(await everyWay(other, file, { mechanism })).toEqual(HELD);
      await release();
    }
  });
});
