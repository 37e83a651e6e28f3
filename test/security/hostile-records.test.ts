import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseRecord } from '../../lib/holder/holder-record.js';
import { FileLock, LockTimeoutError } from '../../lib/index.js';
import { RecordingActor } from '../support/jobs.js';
import { forgeRecord, sealRecord } from '../support/records.js';
import { tempLock } from '../support/temp-dir.js';

const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
/** Sets the title of a terminal, clears it, goes back to the start of the line, and turns the rest around. */
const ESCAPES = '\x1b]0;owned\x07\x1b[2J\r\n\u202Eevil\u2028\u009b31m';
const LARGEST_TOKEN = 2n ** 63n - 1n;

const recorded = (file: string) => new FileLock(file, { recordHolder: true });

function timeoutOf(file: string): LockTimeoutError {
  try {
    recorded(file).acquireSync({ timeout: 0 }).release();
  } catch (error) {
    if (error instanceof LockTimeoutError) return error;
  }
  throw new Error('the lock was free, or failed otherwise');
}

describe('a forged record', () => {
  test('writes no escapes of a terminal into a message, and is given as data unchanged', async () => {
    const file = tempLock();
    const holder = await RecordingActor.holding(file);
    const start = String(parseRecord(readFileSync(file))?.startTime);
    const escapes = encodeURIComponent(ESCAPES);
    writeFileSync(file, forgeRecord({ pid: String(holder.pid), start, command: escapes, host: escapes }));
    const { message, holder: named } = timeoutOf(file);
    expect(named).toMatchObject({ pid: holder.pid, command: ESCAPES, hostname: ESCAPES });
    expect(message).toContain('owned');
    expect(message).not.toMatch(CONTROL);
    expect(new FileLock(file).inspect().holder?.command).toBe(ESCAPES);
  });

  test('that claims to be this process neither locks nor unlocks', async () => {
    const file = tempLock();
    writeFileSync(file, forgeRecord());
    const guard = recorded(file).acquireSync({ timeout: 0 });
    expect(guard.previousHolder).toMatchObject({ pid: process.pid, thisProcess: true });
    guard.release();

    const holder = await RecordingActor.holding(file);
    writeFileSync(file, forgeRecord());
    expect(new FileLock(file).tryAcquire()).toBeNull();
    expect(timeoutOf(file).holder).toMatchObject({ pid: holder.pid, thisProcess: false });
  });

  test('that says released does not free a held lock', async () => {
    const file = tempLock();
    const holder = await RecordingActor.holding(file);
    writeFileSync(file, forgeRecord({ state: 'released' }));
    expect(timeoutOf(file).holder?.pid).toBe(holder.pid);
  });

  test('with the largest pid and token is read, and the token does not start over', () => {
    const file = tempLock();
    writeFileSync(file, forgeRecord({ pid: String(2 ** 31 - 1), token: String(LARGEST_TOKEN) }));
    using guard = recorded(file).acquireSync({ timeout: 0 });
    expect(guard.previousHolder).toMatchObject({ pid: 2 ** 31 - 1, running: false });
    expect(guard.fencingToken).toBeNull();
  });

  test('with a valid checksum and nothing else names nobody', () => {
    const file = tempLock();
    for (const lines of [['native-file-lock 1'], ['native-file-lock 2', 'pid 1'], [''], ['native-file-lock 1', '\0']]) {
      writeFileSync(file, sealRecord(lines));
      expect(recorded(file).inspect().holder, lines.join()).toBeNull();
    }
  });

  test('of another version of the format names nobody, and is overwritten', () => {
    const file = tempLock();
    const ofVersion = (version: number) => {
      const [, ...lines] = forgeRecord().split('\n').slice(0, -2);
      return sealRecord([`native-file-lock ${version}`, ...lines]);
    };
    writeFileSync(file, ofVersion(1));
    expect(recorded(file).inspect().holder?.pid).toBe(process.pid);
    writeFileSync(file, ofVersion(2));
    expect(recorded(file).inspect().holder).toBeNull();
    using guard = recorded(file).acquireSync({ timeout: 0 });
    expect(guard.previousHolder).toBeNull();
    expect(parseRecord(readFileSync(file))?.fencingToken).toBe(guard.fencingToken);
  });
});

const JUNK: Record<string, Buffer> = {
  'binary junk': Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 2654435761) >>> 24 || 1)),
  'binary junk after our magic': Buffer.concat([Buffer.from('native-file-lock 1\n'), Buffer.alloc(4096, 0xff)]),
  'a line without an end': Buffer.from(`native-file-lock 1\ncommand ${'x'.repeat(1 << 20)}`),
  'a million lines': Buffer.from(`native-file-lock 1\n${'pid 1\n'.repeat(1 << 20)}checksum 00000000\n`),
};

describe.each(Object.entries(JUNK))('a lock file of %s', (_, content) => {
  test('is locked, names nobody, and does not grow', () => {
    const file = tempLock();
    writeFileSync(file, content);
    expect(recorded(file).inspect().holder).toBeNull();
    const guard = recorded(file).acquireSync({ timeout: 0 });
    expect(guard.previousHolder).toBeNull();
    guard.release();
    expect(statSync(file).size).toBe(content.length);
  });
});

test('a lock file of a terabyte is locked, and not read to its end', () => {
  const file = tempLock();
  writeFileSync(file, '');
  truncateSync(file, 2 ** 40);
  using guard = recorded(file).acquireSync({ timeout: 0 });
  expect(guard.fencingToken).toBeNull();
});

test('a lock file keeps its size from one record to the next', () => {
  const file = tempLock();
  const sizes = Array.from({ length: 3 }, () => {
    recorded(file).acquireSync().release();
    return statSync(file).size;
  });
  expect(sizes).toEqual(sizes.map(() => sizes[0]));
});
