import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Actor } from '../support/actor.js';
import { FaultyActor, hasCompiler } from '../support/c-fixture.js';
import { tempDir } from '../support/temp-dir.js';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('Skipped: a FIFO of another user. Only root can switch to another user.');

type Way = 'tryAcquire' | 'acquireSync' | 'acquire';
const WAYS: readonly Way[] = ['tryAcquire', 'acquireSync', 'acquire'];

/** The code of the error with which the lock of a path is refused, or that it is held. */
function outcome(actor: Actor, file: string, way: Way): Promise<string> {
  return actor.run(
    async (require, [file, way]) => {
      const { FileLock } = require('../..') as typeof import('../../lib/index.js');
      try {
        await new FileLock(file, { timeout: 0 })[way]();
        return 'held';
      } catch (error) {
        return (error as { code: string }).code;
      }
    },
    [file, way] as const,
  );
}

const PLANTED: Record<string, { code: string; make: (at: string, victim: string) => void }> = {
  'a FIFO': { code: 'ERR_LOCK_NOT_A_FILE', make: (at) => void execFileSync('mkfifo', [at]) },
  'a link': { code: 'ELOOP', make: (at, victim) => symlinkSync(victim, at) },
  'a unix socket': {
    code: 'ERR_LOCK_NOT_A_FILE',
    make: (at) => {
      const server = createServer().listen(at);
      onTestFinished(() => void server.close());
    },
  },
};

describe.skipIf(!hasCompiler)('a lock file that is replaced between its opening and its lock', () => {
  describe.each(Object.entries(PLANTED))('by %s', (_, { code, make }) => {
    test.each(WAYS)('is refused, and nothing is made or followed (%s)', async (way) => {
      const directory = tempDir();
      const [file, planted, victim] = ['lock', 'planted', 'victim'].map((name) => path.join(directory, name)) as [
        string,
        string,
        string,
      ];
      make(planted, victim);
      const kind = lstatSync(planted).mode;
      const faulty = await FaultyActor.start();
      faulty.inject(`flock rename ${planted} ${file}`);
      expect(await outcome(faulty.actor, file, way)).toBe(code);
      expect(faulty.left()).toBe('');
      expect(existsSync(victim)).toBe(false);
      expect(lstatSync(file).mode).toBe(kind);
    });
  });
});

describe.skipIf(!hasCompiler)('a parent directory that is renamed away between the opening and the lock', () => {
  test('takes its file with it: that one is not locked, and the directory is not made again', async () => {
    const directory = tempDir();
    const [parent, aside] = ['parent', 'aside'].map((name) => path.join(directory, name)) as [string, string];
    mkdirSync(parent);
    writeFileSync(path.join(parent, 'lock'), '');
    const faulty = await FaultyActor.start();
    faulty.inject(`flock rename ${parent} ${aside}`);
    expect(await outcome(faulty.actor, path.join(parent, 'lock'), 'tryAcquire')).toBe('ENOENT');
    expect(existsSync(parent)).toBe(false);
  });
});

describe.skipIf(!isRoot)('a FIFO of another user that may only be read', () => {
  test.each(WAYS)('is refused, and blocks nobody (%s)', async (way) => {
    const directory = tempDir();
    chmodSync(directory, 0o755);
    const fifo = path.join(directory, 'lock');
    execFileSync('mkfifo', [fifo]);
    chmodSync(fifo, 0o444);
    const user = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups'];
    const actor = await Actor.process({ through: user });
    expect(await outcome(actor, fifo, way)).toBe('ERR_LOCK_NOT_A_FILE');
  });
});
