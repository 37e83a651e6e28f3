import { existsSync, linkSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileLock } from '../../lib/index.js';
import { jobLockFile, tempManager } from '../support/jobs.js';
import { tempDir } from '../support/temp-dir.js';

const CONTENTS: Record<string, Buffer> = {
  text: Buffer.from('root:x:0:0\n'),
  'one byte': Buffer.from('x'),
  'NUL bytes, and then text': Buffer.concat([Buffer.alloc(4096), Buffer.from('x')]),
  'the beginning of our magic': Buffer.from('native-file-lo'),
};

describe.each(Object.entries(CONTENTS))(
  'a precious file of %s that is hard-linked to the path of a lock',
  (_, content) => {
    function linked(): { precious: string; file: string } {
      const directory = tempDir();
      const precious = path.join(directory, 'precious');
      writeFileSync(precious, content);
      const file = path.join(directory, 'lock');
      linkSync(precious, file);
      return { precious, file };
    }

    test.each(['flock', 'fcntl'] as const)('is locked, and never written to (%s)', (mechanism) => {
      const { precious, file } = linked();
      const before = statSync(precious);
      const guard = new FileLock(file, { mechanism, recordHolder: true }).acquireSync();
      expect(guard.fencingToken).toBeNull();
      guard.release();
      expect(readFileSync(precious).equals(content)).toBe(true);
      expect(statSync(precious)).toMatchObject({ mode: before.mode, mtimeMs: before.mtimeMs, ino: before.ino });
    });

    test('loses in clean-up only the name in the job directory', async () => {
      const { precious } = linked();
      const manager = tempManager();
      const file = jobLockFile(manager.jobsDirectory, 'job');
      mkdirSync(path.dirname(file), { recursive: true });
      linkSync(precious, file);
      utimesSync(file, 0, 0);
      expect(await manager.cleanupStaleLocks()).toMatchObject([{ jobId: 'job', abandoned: false }]);
      expect(existsSync(file)).toBe(false);
      expect(readFileSync(precious).equals(content)).toBe(true);
    });
  },
);

test('a file that is empty is written to, under whichever name it is locked', () => {
  const directory = tempDir();
  const [empty, file] = [path.join(directory, 'empty'), path.join(directory, 'lock')];
  writeFileSync(empty, '');
  linkSync(empty, file);
  using guard = new FileLock(file, { recordHolder: true }).acquireSync();
  expect(guard.fencingToken).not.toBeNull();
  expect(readFileSync(empty, 'latin1')).toMatch(/^native-file-lock 1\n/);
});
