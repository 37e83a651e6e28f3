import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  deadlock,
  fromFileSystemError,
  LockTimeoutError,
  lockLost,
  lockReleased,
  systemError,
  unlockWarning,
} from '../../lib/errors.js';
import { FileLock, type LockError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempLock } from '../support/temp-dir.js';

const { errno } = constants;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("Skipped: another user's lock file. Only root can make one.");

test.each([
  ['EDEADLK', 'resource deadlock would occur'],
  ['EDQUOT', 'disk quota exceeded'],
  ['ENOLCK', 'no locks available'],
  ['ESTALE', 'stale file handle'],
] as const)('%s is described, though libuv has no text for it', (code, text) => {
  const { message, cause } = systemError('flock', errno[code], '/lock');
  expect(message).toBe(`Cannot lock '/lock': ${text} (${code}, flock)`);
  expect((cause as Error).message).toBe(`${code}: ${text}, flock '/lock'`);
});

test('the cause of EDEADLK says that waiting would be a deadlock', () => {
  const error = deadlock('flock', '/lock');
  expect(error).toMatchObject({ code: 'EDEADLK', syscall: 'flock', errno: -errno.EDEADLK, path: '/lock' });
  expect(error.message).toContain('locks are not re-entrant');
  expect((error.cause as Error).message).toContain('resource deadlock would occur');
});

test.each(['ESTALE', 'EDQUOT', 'EIO'] as const)(
  '%s of a call of Node has its code, which Node may not know',
  (code) => {
    const number = -errno[code];
    const cause = Object.assign(new Error('it failed'), { code: `Unknown system error ${number}`, errno: number });
    expect(fromFileSystemError(cause, '/lock')).toMatchObject({ code, errno: number, cause });
  },
);

test('an error that no system call caused has no syscall and no errno', () => {
  for (const error of [lockLost('/lock'), new LockTimeoutError('/lock', true, 1, null)]) {
    expect(Object.keys(error)).not.toContain('syscall');
    expect(Object.keys(error)).not.toContain('errno');
    expect(inspect(error)).not.toContain('undefined');
  }
});

test('a timeout whose holder is unknown says so', () => {
  expect(new LockTimeoutError('/lock', true, 5, null).message).toBe(
    "Timed out after 5 ms waiting for an exclusive lock on '/lock': the holder is unknown",
  );
});

test('a timeout behind a guard of this process says that locks are not re-entrant', async () => {
  const lock = new FileLock(tempLock());
  using _guard = lock.acquireSync();
  await expect(lock.acquire({ timeout: 0 })).rejects.toThrow('held by this process (locks are not re-entrant)');
});

test('a lost lock says what happened and what to do', () => {
  const cause = new Error('gone');
  expect(lockLost('/lock', cause)).toMatchObject({ name: 'LockError', code: 'ERR_LOCK_LOST', path: '/lock', cause });
  expect(lockLost('/lock').message).toMatch(
    /^Lost the lock on '\/lock': the path no longer names the locked file, .*release/,
  );
  expect(lockReleased('/lock')).toMatchObject({ code: 'ERR_LOCK_LOST', message: expect.stringContaining('released') });
});

test('a failed unlock is not worded as a failed lock', () => {
  const message = unlockWarning(systemError('fcntl', errno.EBADF, '/lock'));
  expect(message).toMatch(
    /^Could not unlock '\/lock': bad file descriptor \(EBADF, fcntl\)\. The file was closed instead/,
  );
});

describe.skipIf(!isRoot)("another user's lock file", () => {
  const AS_STRANGER = ['setpriv', '--reuid=54323', '--regid=54323', '--clear-groups'];

  async function messageFor(file: string): Promise<string> {
    const actor = await Actor.process({ through: AS_STRANGER });
    await actor.call('open', { lock: 'a', path: file });
    const error = await actor.call('tryAcquire', { lock: 'a', guard: 'g' }).catch((error: LockError) => error);
    expect(error).toMatchObject({ code: 'EACCES' });
    return (error as LockError).message;
  }

  test('that may not be opened hints at fileMode', async () => {
    const file = tempLock();
    chmodSync(path.dirname(file), 0o755);
    writeFileSync(file, '', { mode: 0o600 });
    expect(await messageFor(file)).toMatch(/belongs to user 0 and has mode 0600: .*fileMode.* umask/);
  });

  test('a file of the same user, or none at all, hints at nothing', async () => {
    const file = tempLock();
    chmodSync(path.dirname(file), 0o755);
    expect(await messageFor(file)).not.toContain('fileMode');
    writeFileSync(file, '');
    chownSync(file, 54323, 54323);
    chmodSync(file, 0);
    expect(await messageFor(file)).not.toContain('fileMode');
  });
});

describe('the stack of a timeout', () => {
  function beginWaiting(): { stack?: string } {
    const callSite = {};
    Error.captureStackTrace(callSite);
    return callSite;
  }

  test('shows where the wait began, under the name and message of the error', () => {
    const error = new LockTimeoutError('/lock', true, 5, null, beginWaiting());
    const [header, first] = error.stack?.split('\n') ?? [];
    expect(header).toBe(`LockTimeoutError: ${error.message}`);
    expect(first).toMatch(/^ {4}at beginWaiting /);
    expect(inspect(error)).toContain('at beginWaiting ');
    expect(structuredClone(error).stack).toBe(error.stack);
    expect(Object.keys(error)).not.toContain('stack');
  });

  test('is its own without a call site, and where the runtime cannot capture one', () => {
    for (const error of [
      new LockTimeoutError('/lock', true, 5, null),
      new LockTimeoutError('/lock', true, 5, null, {}),
    ]) {
      expect(error.stack).toContain('errors.test.ts');
    }
  });

  test('can be replaced, as that of every error', () => {
    const error = new LockTimeoutError('/lock', true, 5, null, beginWaiting());
    error.stack = 'mine';
    expect(error.stack).toBe('mine');
  });

  test('is not formatted before it is read', () => {
    let formatted = 0;
    const { prepareStackTrace } = Error;
    onTestFinished(() => {
      Error.prepareStackTrace = prepareStackTrace;
    });
    Error.prepareStackTrace = (error) => {
      formatted++;
      return `${error}\n    at formatted`;
    };
    const error = new LockTimeoutError('/lock', true, 5, null, beginWaiting());
    expect(formatted).toBe(0);
    expect(error.stack).toBe(`LockTimeoutError: ${error.message}\n    at formatted`);
    expect(formatted).toBe(1);
  });

  test('has no frames where the program makes no text of a stack', () => {
    const { prepareStackTrace } = Error;
    onTestFinished(() => {
      Error.prepareStackTrace = prepareStackTrace;
    });
    Error.prepareStackTrace = (_, frames) => frames;
    const error = new LockTimeoutError('/lock', true, 5, null, beginWaiting());
    expect(error.stack).toBe(`LockTimeoutError: ${error.message}`);
  });
});
