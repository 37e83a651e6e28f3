import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FileLock, type FileLockOptions, LockError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const WAYS = ['tryAcquire', 'acquireSync', 'acquire'] as const;
type Way = (typeof WAYS)[number];

/** The error of an acquisition: the sync methods throw, the async one rejects and must not throw. */
async function failureOf(way: Way, lock: FileLock): Promise<unknown> {
  if (way === 'acquire') {
    return lock.acquire().then(
      () => undefined,
      (error: unknown) => error,
    );
  }
  try {
    lock[way]();
  } catch (error) {
    return error;
  }
  return undefined;
}

type SystemCode = keyof typeof constants.errno;

function expectSystemError(error: unknown, lockPath: string, code: SystemCode, syscall = 'open'): void {
  expect(error).toBeInstanceOf(LockError);
  const errno = -constants.errno[code];
  expect(error).toMatchObject({ name: 'LockError', code, errno, syscall, path: lockPath });
  expect((error as LockError).cause).toMatchObject({ code, errno, syscall });
}

async function expectEveryWayToFail(path: string, code: SystemCode, options: FileLockOptions = {}, syscall = 'open') {
  for (const way of WAYS) {
    expectSystemError(await failureOf(way, new FileLock(path, options)), path, code, syscall);
  }
}

/** The outcome of tryAcquire in another process: whether it was granted, or the fields of its error. */
async function outcomeInActor(actor: Actor, path: string, options: FileLockOptions = {}) {
  await actor.call('open', { lock: 'a', path, options });
  return actor.call<boolean>('tryAcquire', { lock: 'a', guard: 'g' }).then(
    (granted) => ({ granted }),
    ({ code, syscall, errno }: NodeJS.ErrnoException) => ({ code, syscall, errno }),
  );
}

describe('a path that names no regular file', () => {
  test('a symlink is refused and not followed', async () => {
    const link = tempLock();
    const target = path.join(path.dirname(link), 'target');
    symlinkSync(target, link);
    await expectEveryWayToFail(link, 'ELOOP');
    expect(existsSync(target)).toBe(false);
    writeFileSync(target, '');
    await expectEveryWayToFail(link, 'ELOOP');
  });

  test('a symlink in the directory part is followed', () => {
    const directory = tempDir();
    mkdirSync(path.join(directory, 'real'));
    symlinkSync('real', path.join(directory, 'link'));
    using guard = new FileLock(path.join(directory, 'link', 'l')).tryAcquire();
    expect(guard?.held).toBe(true);
    expect(new FileLock(path.join(directory, 'real', 'l')).tryAcquire()).toBeNull();
  });

  test('a directory is refused', async () => {
    const directory = tempDir();
    await expectEveryWayToFail(directory, 'EISDIR');
  });

  async function expectNotAFile(path: string): Promise<void> {
    for (const way of WAYS) {
      const error = await failureOf(way, new FileLock(path));
      expect(error).toBeInstanceOf(LockError);
      expect(error).toMatchObject({ code: 'ERR_LOCK_NOT_A_FILE', path });
    }
  }

  test('a FIFO is refused without blocking', async () => {
    const fifo = tempLock();
    execFileSync('mkfifo', [fifo]);
    await expectNotAFile(fifo);
  });

  test('a unix socket is refused', async () => {
    const socket = tempLock();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    onTestFinished(() => void server.close());
    await expectNotAFile(socket);
  });

  test('a device is refused', () => expectNotAFile('/dev/null'));
});

describe('the path of the lock file', () => {
  test('missing parent directories are created', () => {
    const file = path.join(tempDir(), 'one', 'two', 'three', 'l');
    using guard = new FileLock(file).tryAcquire();
    expect(guard?.held).toBe(true);
    expect(statSync(file).isFile()).toBe(true);
  });

  test('missing parent directories are not created with createParents: false', async () => {
    const file = path.join(tempDir(), 'one', 'l');
    await expectEveryWayToFail(file, 'ENOENT', { createParents: false });
    expect(existsSync(path.dirname(file))).toBe(false);
  });

  test('a parent that is a regular file is refused', async () => {
    const parent = tempLock();
    writeFileSync(parent, '');
    await expectEveryWayToFail(path.join(parent, 'l'), 'ENOTDIR');
  });

  test('a grandparent that is a regular file is refused', async () => {
    const parent = tempLock();
    writeFileSync(parent, '');
    await expectEveryWayToFail(path.join(parent, 'x', 'l'), 'ENOTDIR');
  });

  test('a missing parent below a dangling symlink is refused', async () => {
    const directory = tempDir();
    symlinkSync('nowhere', path.join(directory, 'link'));
    const error = await failureOf('tryAcquire', new FileLock(path.join(directory, 'link', 'l')));
    expect(error).toBeInstanceOf(LockError);
    expect(error).toMatchObject({ path: path.join(directory, 'link', 'l'), errno: expect.any(Number) });
    expect(existsSync(path.join(directory, 'nowhere'))).toBe(false);
  });

  test('a name that is too long is refused', () =>
    expectEveryWayToFail(path.join(tempDir(), 'x'.repeat(256)), 'ENAMETOOLONG'));

  test('a path that is too long is refused', async () => {
    const long = path.join(tempDir(), ...Array.from({ length: 50 }, () => 'x'.repeat(100)), 'l');
    await expectEveryWayToFail(long, 'ENAMETOOLONG');
    await expectEveryWayToFail(long, 'ENAMETOOLONG', { createParents: false });
  });

  test('an invalid path is an invalid argument', () => {
    for (const path of ['', 'a\0b']) {
      expect(() => new FileLock(path)).toThrow(
        expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
      );
    }
    for (const path of [undefined, null, 1, {}, Buffer.from('/tmp/x')]) {
      const construct = () => new FileLock(path as unknown as string);
      expect(construct).toThrow(expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }));
    }
  });

  test('a file URL is accepted as a path', () => {
    const file = path.join(tempDir(), 'a b#c%.lock');
    const lock = new FileLock(pathToFileURL(file));
    expect(lock.path).toBe(file);
    using guard = lock.tryAcquire();
    expect(guard?.path).toBe(file);
    expect(existsSync(file)).toBe(true);
  });

  test('a URL with another scheme is refused', () => {
    expect(() => new FileLock(new URL('http://localhost/x'))).toThrow(TypeError);
    expect(() => new FileLock(new URL('file:///a%00b'))).toThrow(TypeError);
  });

  test('a relative path is resolved when the FileLock is constructed', () => {
    const directory = tempDir();
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    process.chdir(directory);
    const lock = new FileLock('l');
    process.chdir(before);
    expect(lock.path).toBe(path.join(directory, 'l'));
    lock.tryAcquire()?.release();
    expect(existsSync(path.join(directory, 'l'))).toBe(true);
  });

  test('a name may contain any characters', () => {
    const file = path.join(tempDir(), 'schloß 🔒\n\u0007.lock');
    using guard = new FileLock(file).tryAcquire();
    expect(guard?.held).toBe(true);
    expect(existsSync(file)).toBe(true);
  });
});

describe('the file itself', () => {
  const MODES: { umask: number; fileMode?: number; created: number }[] = [
    { umask: 0o022, created: 0o600 },
    { umask: 0o277, created: 0o400 },
    { umask: 0o022, fileMode: 0o666, created: 0o644 },
    { umask: 0, fileMode: 0o666, created: 0o666 },
  ];
  test.each(MODES)(
    'a lock file is created with fileMode & ~umask: $umask, $fileMode, $created',
    ({ umask, created, ...options }) => {
      const file = tempLock();
      const before = process.umask(umask);
      onTestFinished(() => void process.umask(before));
      new FileLock(file, options).acquireSync().release();
      expect(process.umask()).toBe(umask);
      expect(statSync(file).mode & 0o7777).toBe(created);
    },
  );

  test('an existing lock file keeps its permissions', () => {
    const file = tempLock();
    writeFileSync(file, '', { mode: 0o640 });
    new FileLock(file, { fileMode: 0o666 }).acquireSync().release();
    expect(statSync(file).mode & 0o7777).toBe(0o640);
  });

  test.each(['flock', 'fcntl'] as const)('locking neither writes to nor truncates the file (%s)', async (mechanism) => {
    const file = tempLock();
    writeFileSync(file, 'precious\n');
    const old = new Date('2001-02-03T04:05:06Z');
    utimesSync(file, old, old);
    const lock = new FileLock(file, { mechanism });
    for (const mode of ['exclusive', 'shared'] as const) {
      const guard = lock.acquireSync({ mode });
      expect(lock.tryAcquire()).toBeNull();
      await expect(lock.acquire({ timeout: 0 })).rejects.toMatchObject({ code: 'ERR_LOCK_TIMEOUT' });
      guard.release();
      (await lock.acquire({ mode })).release();
    }
    expect(readFileSync(file, 'utf8')).toBe('precious\n');
    expect(statSync(file).mtimeMs).toBe(old.getTime());
  });

  test('the lock file remains after the release', () => {
    const file = tempLock();
    new FileLock(file).acquireSync().release();
    expect(statSync(file).size).toBe(0);
  });
});

test('an acquisition fails with EMFILE if the process has no free descriptor', async () => {
  const actor = await Actor.process({ through: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] });
  const outcome = await actor.run(async (require, lockPath: string) => {
    const { FileLock } = require('../..') as typeof import('../../lib/index.js');
    const fs = require('node:fs') as typeof import('node:fs');
    const lock = new FileLock(lockPath);
    lock.acquireSync().release(); // loads the addon, which needs descriptors
    const taken: number[] = [];
    try {
      for (;;) taken.push(fs.openSync('/dev/null', 'r'));
    } catch {
      // none left
    }
    const errors: unknown[] = [];
    const note = ({ name, code, syscall, errno }: LockError) => errors.push({ name, code, syscall, errno });
    await lock.acquire().then(undefined, note);
    try {
      lock.tryAcquire();
    } catch (error) {
      note(error as LockError);
    }
    for (const descriptor of taken) fs.closeSync(descriptor);
    const guard = lock.tryAcquire();
    return { errors, granted: guard !== null };
  }, tempLock());
  const error = { name: 'LockError', code: 'EMFILE', syscall: 'open', errno: -constants.errno.EMFILE };
  expect(outcome).toMatchObject({ errors: [error, error], granted: true });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('Skipped: files of other users and read-only mounts. Only root can set them up.');

describe.skipIf(!isRoot)('a file of another user', () => {
  const OTHER_USER = 54321;
  const AS_OTHER_USER = ['setpriv', `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups'];

  /** A lock file that belongs to root, in a directory that everybody may search. */
  function fileOfRoot(mode: number): string {
    const file = tempLock();
    chmodSync(path.dirname(file), 0o755);
    writeFileSync(file, '');
    chmodSync(file, mode);
    return file;
  }
  const otherUser = () => Actor.process({ through: AS_OTHER_USER });
  const denied = { code: 'EACCES', syscall: 'open', errno: -constants.errno.EACCES };

  test('that is not readable cannot be locked', async () => {
    const actor = await otherUser();
    const file = fileOfRoot(0o600);
    for (const mechanism of ['flock', 'fcntl'] as const) {
      for (const mode of ['exclusive', 'shared'] as const) {
        expect(await outcomeInActor(actor, file, { mechanism, mode })).toEqual(denied);
      }
    }
  });

  test('in a directory without search or write permission cannot be locked', async () => {
    const actor = await otherUser();
    const file = fileOfRoot(0o666);
    const missing = path.join(path.dirname(file), 'missing');
    expect(await outcomeInActor(actor, missing)).toEqual(denied);
    expect(existsSync(missing)).toBe(false);
    chmodSync(path.dirname(file), 0o700);
    expect(await outcomeInActor(actor, file)).toEqual(denied);
  });

  test.each([
    { mechanism: 'flock', mode: 'exclusive' },
    { mechanism: 'flock', mode: 'shared' },
    { mechanism: 'fcntl', mode: 'shared' },
  ] as const)('that is read-only can be locked: $mechanism, $mode', async (options) => {
    const actor = await otherUser();
    const file = fileOfRoot(0o444);
    expect(await outcomeInActor(actor, file, options)).toEqual({ granted: true });
    const lock = new FileLock(file, { mechanism: options.mechanism });
    expect(lock.tryAcquire({ mode: 'exclusive' })).toBeNull();
    await actor.call('release', { guard: 'g' });
    using guard = lock.tryAcquire({ mode: 'exclusive' });
    expect(guard?.held).toBe(true);
  });

  test('that is read-only cannot be locked exclusively with fcntl', async () => {
    const actor = await otherUser();
    expect(await outcomeInActor(actor, fileOfRoot(0o444), { mechanism: 'fcntl' })).toEqual(denied);
  });

  test('with a kept read-only descriptor cannot be locked exclusively with fcntl', async () => {
    const actor = await otherUser();
    const file = fileOfRoot(0o444);
    const shared = { mechanism: 'fcntl', mode: 'shared', keepOpen: true } as const;
    expect(await outcomeInActor(actor, file, shared)).toEqual({ granted: true });
    await actor.call('release', { guard: 'g' });
    await expect(
      actor.call('tryAcquire', { lock: 'a', guard: 'g', options: { mode: 'exclusive' } }),
    ).rejects.toMatchObject(denied);
  });

  const level = existsSync('/proc/sys/fs/protected_regular')
    ? Number(readFileSync('/proc/sys/fs/protected_regular', 'utf8'))
    : 0;
  if (level === 0) console.warn('Skipped: files of other users in sticky directories. fs.protected_regular is 0.');

  test.skipIf(level === 0)('in a sticky directory can be locked', () => {
    const file = tempLock();
    writeFileSync(file, '', { mode: 0o666 });
    chmodSync(file, 0o666);
    chownSync(file, OTHER_USER, OTHER_USER);
    chmodSync(path.dirname(file), 0o1777);
    // The kernel forbids O_CREAT there, even to root: check that it does.
    expect(() => writeFileSync(file, '')).toThrow('EACCES');
    using guard = new FileLock(file).tryAcquire();
    expect(guard?.held).toBe(true);
  });
});

describe.skipIf(!isRoot)('on a read-only file system', () => {
  /** An actor in its own mount namespace, in which `directory` is read-only. */
  const actorWithReadOnly = (directory: string) =>
    Actor.process({
      through: [
        'unshare',
        '--mount',
        'sh',
        '-c',
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"',
        directory,
      ],
    });

  test.each([
    { mechanism: 'flock', mode: 'exclusive' },
    { mechanism: 'flock', mode: 'shared' },
    { mechanism: 'fcntl', mode: 'shared' },
  ] as const)('an existing file can be locked: $mechanism, $mode', async (options) => {
    const file = tempLock();
    writeFileSync(file, '');
    const actor = await actorWithReadOnly(path.dirname(file));
    expect(await outcomeInActor(actor, file, options)).toEqual({ granted: true });
    expect(new FileLock(file, { mechanism: options.mechanism }).tryAcquire()).toBeNull();
  });

  test('a lock that needs write access cannot be acquired', async () => {
    const file = tempLock();
    writeFileSync(file, '');
    const actor = await actorWithReadOnly(path.dirname(file));
    const readOnly = { code: 'EROFS', syscall: 'open', errno: -constants.errno.EROFS };
    expect(await outcomeInActor(actor, file, { mechanism: 'fcntl' })).toEqual(readOnly);
    expect(await outcomeInActor(actor, `${file}.missing`)).toEqual(readOnly);
  });

  test('a missing directory cannot be created, and the error says why', async () => {
    const directory = tempDir();
    const actor = await actorWithReadOnly(directory);
    const outcome = await outcomeInActor(actor, path.join(directory, 'missing', 'l'));
    expect(outcome).toMatchObject({ code: 'EROFS', errno: -constants.errno.EROFS });
  });
});
