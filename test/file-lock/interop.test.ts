import { closeSync, openSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FileLock, type LockMechanism } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import {
  CommandContender,
  flockCommand,
  isInstalled,
  type LockCommand,
  pythonCommand,
} from '../support/command-contender.js';
import { LocalContender, RemoteContender } from '../support/contender.js';
import { lockLaws } from '../support/lock-laws.js';
import { tempLock } from '../support/temp-dir.js';

/** Each round of the command is a process. */
const ROUNDS = 5;

function lockLawsAgainst(name: string, mechanism: LockMechanism, command: LockCommand): void {
  lockLaws(
    `mechanism ${mechanism} and ${name}`,
    async (path) => [new LocalContender(new FileLock(path, { mechanism })), new CommandContender(command, path)],
    ROUNDS,
  );
}

if (isInstalled('flock')) lockLawsAgainst('flock(1)', 'flock', flockCommand);
if (isInstalled('python3')) {
  lockLawsAgainst("Python's fcntl.flock", 'flock', pythonCommand('flock'));
  lockLawsAgainst("Python's fcntl.lockf, a traditional POSIX lock", 'fcntl', pythonCommand('lockf'));
}

describe.each(['flock', 'fcntl'] as const)('mechanism %s', (mechanism) => {
  test('opening, reading and closing the lock file elsewhere in the process does not release the lock', async () => {
    const path = tempLock();
    const other = await RemoteContender.open(await Actor.process(), path, { mechanism });
    const guard = new FileLock(path, { mechanism }).tryAcquire();
    readFileSync(path);
    closeSync(openSync(path, 'r+'));
    expect(guard?.held).toBe(true);
    expect(await other.tryAcquire('shared')).toBeNull();
    guard?.release();
    expect(await other.tryAcquire('exclusive')).not.toBeNull();
  });
});

test('on Linux, flock and fcntl locks are independent', async ({ skip }) => {
  skip(process.platform !== 'linux', 'on other systems they may conflict');
  const path = tempLock();
  const other = await RemoteContender.open(await Actor.process(), path, { mechanism: 'fcntl' });
  const guard = await new FileLock(path, { mechanism: 'flock' }).acquire();
  const theirs = await other.tryAcquire('exclusive');
  expect(theirs).not.toBeNull();
  expect(guard.held).toBe(true);
  guard.release();
});
