import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type AcquireOptions,
  FileLock,
  JobLockManager,
  jobDirectoryLock,
  type TryAcquireOptions,
  tryLockJobDirectory,
} from '../../lib/index.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const unknown = (option: string, nearest: string) => ({
  name: 'TypeError',
  code: 'ERR_INVALID_ARG_VALUE',
  message: `The "${option}" option is unknown. Did you mean "${nearest}"?`,
});

/** What a call throws, or rejects with. */
async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

const slip = { timout: 5 } as AcquireOptions & TryAcquireOptions;
const file = path.join(tmpdir(), `native-file-lock-options-${process.pid}`, 'lock'); // never made
const lock = new FileLock(file);
const jobs = new JobLockManager(path.dirname(file));

test.each<[string, () => unknown]>([
  ['new FileLock', () => new FileLock(file, slip)],
  ['tryAcquire', () => lock.tryAcquire(slip)],
  ['acquireSync', () => lock.acquireSync(slip)],
  ['acquire', () => lock.acquire(slip)],
  ['withLock', () => lock.withLock(() => {}, slip)],
  ['new JobLockManager', () => new JobLockManager('jobs', slip)],
  ['lockJobDirectory', () => jobs.lockJobDirectory('job', slip)],
  ['lockJobDirectorySync', () => jobs.lockJobDirectorySync('job', slip)],
  ['tryLockJobDirectory', () => jobs.tryLockJobDirectory('job', slip)],
  ['jobLock', () => jobs.jobLock('job', () => {}, slip)],
  ['lockJobsIndex', () => jobs.lockJobsIndex(slip)],
  ['jobsIndexLock', () => jobs.jobsIndexLock(() => {}, slip)],
  ['jobDirectoryLock', () => jobDirectoryLock('job', jobs.jobsDirectory, () => {}, slip)],
  ['the function tryLockJobDirectory', () => tryLockJobDirectory('job', jobs.jobsDirectory, slip)],
])('%s refuses an unknown option, names the nearest one, and touches nothing', async (_, call) => {
  expect(await failureOf(call)).toMatchObject(unknown('timout', 'timeout'));
  expect(existsSync(path.dirname(file))).toBe(false);
});

test.each([
  { call: () => lock.acquire(slip) },
  { call: () => jobs.lockJobDirectory('job', slip) },
  { call: () => jobs.cleanupStaleLocks({ dryrun: true } as object) },
])('an asynchronous method rejects because of an unknown option, and does not throw', async ({ call }) => {
  await expect(call()).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
});

test('a clean-up whose dryRun is misspelled removes nothing', async () => {
  const directory = tempDir();
  const stale = path.join(directory, 'job', '.lock');
  mkdirSync(path.dirname(stale));
  writeFileSync(stale, '');
  utimesSync(stale, 0, 0);
  const manager = new JobLockManager(directory);
  const options = { maxAge: 0, dryrun: true } as object;
  expect(await failureOf(() => manager.cleanupStaleLocks(options))).toMatchObject(unknown('dryrun', 'dryRun'));
  expect(existsSync(stale)).toBe(true);
  expect(await manager.cleanupStaleLocks({ maxAge: 0 })).toHaveLength(1); // it was stale indeed
});

test('an option that resembles none is refused together with the list of those there are', async () => {
  const options = { retries: 3 } as object;
  expect(await failureOf(() => lock.acquire(options))).toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
    message: 'The "retries" option is unknown. The known options are mode, timeout, signal, onWait.',
  });
});

test('the nearest option is at most two edits away', async () => {
  const messageFor = async (option: string) =>
    ((await failureOf(() => new FileLock(file, { [option]: 1 }))) as Error).message;
  expect(await messageFor('tymeot')).toContain('Did you mean "timeout"?');
  expect(await messageFor('tymot')).not.toContain('Did you mean');
  expect(await messageFor('Mode')).toContain('Did you mean "mode"?');
});

test('only own enumerable string keys with a value are options', () => {
  const options = Object.create({ inherited: 1 }, { hidden: { value: 1 }, timeout: { value: 5, enumerable: true } });
  options[Symbol('symbol')] = 1;
  options.undefined = undefined;
  using guard = new FileLock(tempLock(), options).acquireSync(options);
  expect(guard.held).toBe(true);
});

test.each([
  ['acquireSync', () => lock.acquireSync({ signal: new AbortController().signal } as object), 'signal'],
  ['acquireSync', () => lock.acquireSync({ onWait: () => {} } as object), 'onWait'],
  ['tryAcquire', () => lock.tryAcquire({ onWait: () => {} } as object), 'onWait'],
  ['tryAcquire', () => lock.tryAcquire({ timeout: 0 } as object), 'timeout'],
] as const)(
  '%s says of an option that only other methods support that it has no meaning there',
  async (method, call, option) => {
    expect(await failureOf(call)).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: `The "${option}" option has no meaning for ${method}()`,
    });
  },
);

test('onWait is a function, or undefined', async () => {
  const own = new FileLock(tempLock());
  (await own.acquire({ onWait: undefined })).release();
  (await own.acquire({ onWait: () => {} })).release();
  for (const onWait of [null, 1, {}]) {
    await expect(own.acquire({ onWait } as object)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await expect(jobs.lockJobDirectory('job', { onWait } as object)).rejects.toThrow('The "onWait" option must be');
  }
});

describe('fileMode', () => {
  test.each([0, 0o600, 0o666, 0o777])('%d is accepted', (fileMode) => {
    expect(() => new FileLock(file, { fileMode })).not.toThrow();
  });

  test.each([-1, 0o1000, 0o1777, 0o7777, 0o10000, 0.5, Number.NaN])('%d is refused', (fileMode) => {
    expect(() => new FileLock(file, { fileMode })).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
    );
  });

  test.each([644, 600, 666, 777])('decimal %d is refused, with a hint at the octal number', (fileMode) => {
    expect(() => new FileLock(file, { fileMode })).toThrow(`did you mean 0o${fileMode}?`);
    expect(() => new JobLockManager('jobs', { fileMode })).toThrow(`did you mean 0o${fileMode}?`);
  });

  test('a number that is no octal one either is refused without a hint', () => {
    expect(() => new FileLock(file, { fileMode: 888 })).toThrow(/Received 888$/);
  });
});
