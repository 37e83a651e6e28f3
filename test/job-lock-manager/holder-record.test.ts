import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type HolderRecord, isOurs, OwnRecord, parseRecord, RECORD_LIMIT } from '../../lib/holder/holder-record.js';
import { thisProcess } from '../../lib/holder/process-info.js';
import { FileLock, type LockGuard, LockTimeoutError } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { abandon, jobLockFile, RecordingActor, tempManager } from '../support/jobs.js';
import { untilWaiting } from '../support/kernel-waiters.js';
import { forgeRecord, type RecordFields, sealRecord } from '../support/records.js';
import { Script } from '../support/script.js';
import { tempDir, tempLock } from '../support/temp-dir.js';

const PACKAGE = path.join(__dirname, '../..');
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('Skipped: full disk and longest host name. Only root can mount and set a host name.');

const recorded = (file: string) => new FileLock(file, { recordHolder: true });
const ACQUIRE_METHODS: ((lock: FileLock) => LockGuard | null | Promise<LockGuard>)[] = [
  (lock) => lock.acquireSync(),
  (lock) => lock.tryAcquire(),
  (lock) => lock.acquire(),
];

/**
 * The error of a wait that times out, with the holder. On a busy machine a timeout comes without the
 * holder rather than late; then the wait is repeated.
 */
async function timeoutOf(wait: () => Promise<unknown>): Promise<LockTimeoutError> {
  for (let tries = 0; ; tries++) {
    const error = await wait().catch((reason: unknown) => reason);
    if (!(error instanceof LockTimeoutError)) throw new Error('the wait did not time out', { cause: error });
    if (error.holder !== null || tries === 20) return error;
  }
}

const readRecord = (file: string): HolderRecord | null => parseRecord(readFileSync(file));

/** A record of this process, as written by the library. */
function encode(held: boolean, token: bigint, acquiredAt: Date, atLeast = 0): Buffer {
  const record = new OwnRecord();
  record.encode(token, acquiredAt.toISOString(), atLeast);
  if (!held) record.setState('released');
  return record.bytes.subarray(0, record.length);
}

describe('the format', () => {
  const tokens = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
  const dates = fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true });
  const lengths = fc.integer({ min: 0, max: RECORD_LIMIT });

  test('a record is read as it was written, fits in 1 KiB, and covers the previous content', () => {
    fc.assert(
      fc.property(fc.boolean(), tokens, dates, lengths, (held, fencingToken, acquiredAt, atLeast) => {
        const bytes = encode(held, fencingToken, acquiredAt, atLeast);
        expect(bytes.length).toBeGreaterThanOrEqual(atLeast);
        expect(bytes.length).toBeLessThanOrEqual(RECORD_LIMIT);
        expect(isOurs(bytes)).toBe(true);
        expect(parseRecord(bytes)).toEqual({ ...thisProcess(), held, fencingToken, acquiredAt });
      }),
    );
  });

  test('the held and the released record of one grant have the same length', () => {
    const at = new Date();
    expect(encode(true, 1n, at).length).toBe(encode(false, 1n, at).length);
  });

  test('a record that follows the documented format is read, whoever wrote it', () => {
    const texts = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(texts, texts, fc.integer({ min: 1, max: 2 ** 31 - 1 }), tokens, (host, command, pid, token) => {
        const escaped = (text: string) => text.replace(/[\p{Cc}%]/gu, encodeURIComponent);
        const text = forgeRecord({
          host: escaped(host),
          command: escaped(command),
          pid: String(pid),
          token: String(token),
        });
        expect(parseRecord(Buffer.from(text))).toMatchObject({ hostname: host, command, pid, fencingToken: token });
      }),
    );
  });

  test('unknown keys and any content after the record are ignored', () => {
    const lines = forgeRecord().split('\n').slice(0, -2);
    const text = sealRecord([...lines, 'colour blue']);
    for (const tail of ['', '   \n', '\0\0\0', 'rubbish \n checksum 12']) {
      expect(parseRecord(Buffer.from(text + tail))).toMatchObject({ command: 'forger' });
    }
  });

  test('parsing never throws, whatever the bytes', () => {
    const magic = Buffer.from('native-file-lock 1\n');
    const bytes = fc.uint8Array({ maxLength: 2 * RECORD_LIMIT });
    fc.assert(
      fc.property(bytes, fc.boolean(), (rest, ours) => {
        const record = parseRecord(ours ? Buffer.concat([magic, rest]) : Buffer.from(rest));
        expect(record === null || typeof record.pid === 'number').toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('parsing never throws, whatever the fields of a record with a valid checksum', () => {
    const keys = ['state', 'token', 'acquired', 'pid', 'start', 'boot', 'pidns', 'host', 'command'] as const;
    const numbers = fc.oneof(fc.bigInt(), fc.integer()).map(String);
    const value = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), numbers, fc.constantFrom('%', '%ff', '-1', ''));
    fc.assert(
      fc.property(fc.constantFrom(...keys), value, (key, text) => {
        const record = parseRecord(Buffer.from(forgeRecord({ [key]: text })));
        if (record === null) return;
        expect(record.pid).toSatisfy((pid: number) => Number.isInteger(pid) && pid >= 1 && pid < 2 ** 31);
        expect(Number.isNaN(record.acquiredAt.getTime())).toBe(false);
        expect(record.fencingToken >= 0n && record.fencingToken < 2n ** 63n).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('one damaged byte makes a record unreadable, or does not change its meaning', () => {
    const whole = encode(true, 1_700_000_000_000_000n, new Date(), 700);
    const record = parseRecord(whole);
    expect(record).not.toBeNull();
    const places = fc.integer({ min: 0, max: whole.length - 1 });
    fc.assert(
      fc.property(places, fc.integer({ min: 1, max: 255 }), (at, flipped) => {
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ flipped;
        const read = parseRecord(damaged);
        if (read !== null) expect(read).toEqual(record);
      }),
      { numRuns: 2000 },
    );
  });

  test('a torn record is unreadable, but still recognized as a record', () => {
    const whole = encode(true, 1_700_000_000_000_000n, new Date());
    for (let length = 0; length < whole.length; length++) {
      const torn = whole.subarray(0, length);
      expect(parseRecord(torn), `${length} bytes`).toBeNull();
      // Anything shorter than the magic may be foreign.
      expect(isOurs(torn), `${length} bytes`).toBe(length === 0 || length >= 'native-file-lock '.length);
    }
  });

  test('a record is text that a person can read', () => {
    const file = tempLock();
    using _guard = recorded(file).acquireSync();
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/^native-file-lock 1\npid \d+\n/);
    expect(text).toMatch(/\nacquired \d{4}-\d\d-\d\dT.+Z\ntoken \d+\nstate held +\n/);
    expect(text).toContain(`\npid ${process.pid}\n`);
    expect(text).toContain(`\nhost ${hostname()}\n`);
    expect(text).toMatch(/\nchecksum [0-9a-f]{8}\n *\n?$/);
  });
});

describe('a record with the longest possible names', () => {
  /** Runs a script in a directory with a very long path, made of the given name. */
  function recordOf(directoryName: string, through: readonly string[]): Buffer {
    const base = tempDir();
    let directory = base;
    while (Buffer.byteLength(directory) < 3000) directory = path.join(directory, directoryName);
    mkdirSync(directory, { recursive: true });
    const script = path.join(directory, 'script.js');
    writeFileSync(
      script,
      `const { FileLock } = require(${JSON.stringify(PACKAGE)});
       new FileLock(process.argv[2], { recordHolder: true }).acquireSync();`,
    );
    const file = path.join(base, 'l');
    const [command = '', ...args] = [...through, process.execPath, script, file];
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    return readFileSync(file);
  }

  test.each(['x'.repeat(200), 'é'.repeat(100), '日本語'.repeat(20), '\n\x1b%'.repeat(60), '🔒'.repeat(50)])(
    'is at most 1 KiB long and readable: %j',
    (name) => {
      const bytes = recordOf(name, []);
      expect(bytes.length).toBeLessThanOrEqual(RECORD_LIMIT);
      const record = parseRecord(bytes);
      expect(record?.command.startsWith('node /')).toBe(true);
      expect(record?.command).not.toContain('\uFFFD');
      expect(bytes.toString('utf8')).not.toContain('\x1b');
    },
  );

  test.skipIf(!isRoot)('is at most 1 KiB long with the longest host name, too', () => {
    const host = 'h'.repeat(64);
    const named = ['unshare', '--uts', 'sh', '-c', `hostname ${host} && exec "$@"`, '-'];
    const bytes = recordOf('%'.repeat(200), named);
    expect(bytes.length).toBeLessThanOrEqual(RECORD_LIMIT);
    expect(parseRecord(bytes)?.hostname).toBe(host);
  });
});

/** File contents without a valid record that the next grant may overwrite. */
const OVERWRITABLE: Record<string, Buffer> = {
  empty: Buffer.alloc(0),
  'one NUL': Buffer.alloc(1),
  'all NUL': Buffer.alloc(500),
  'all NUL, beyond 1 KiB': Buffer.alloc(1 << 20),
  'the magic alone': Buffer.from('native-file-lock '),
  'a later version': Buffer.from('native-file-lock 2\nstate held\n'),
  'a torn record': Buffer.from(forgeRecord()).subarray(0, 150),
  'a damaged record': Buffer.from(forgeRecord().replace('forger', 'forged')),
  'a record without a field': Buffer.from(sealRecord(['native-file-lock 1', 'state held'])),
  'a record, then 1 MiB of rubbish, but damaged': Buffer.concat([
    Buffer.from(forgeRecord().replace('forger', 'forged')),
    Buffer.alloc(1 << 20, 'x'),
  ]),
};
/** File contents that belong to others and must not be touched. */
const FOREIGN: Record<string, Buffer> = {
  'a part of the magic': Buffer.from('native-fi'),
  'a pid': Buffer.from('12345\n'),
  'a pid and a NUL': Buffer.from('12345\0'),
  'a space': Buffer.from(' '),
  'NUL and something': Buffer.from('\0\0\0x'),
  '1 KiB of NUL and something': Buffer.concat([Buffer.alloc(1024), Buffer.from('x')]),
  '1 MiB of NUL and something': Buffer.concat([Buffer.alloc(1 << 20), Buffer.from('x')]),
  'another magic': Buffer.from('native-file-locked\n'),
  'our magic, but not at the start': Buffer.from(`\n${forgeRecord()}`),
  '1 MiB of text': Buffer.alloc(1 << 20, 'data '),
  '1 MiB of random bytes': Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => (index * 2654435761) >>> 24 || 1)),
};

describe('a file without a valid record', () => {
  test.each(Object.entries({ ...OVERWRITABLE, ...FOREIGN }))('has no holder and is not abandoned: %s', (_, content) => {
    const file = tempLock();
    writeFileSync(file, content);
    const report = recorded(file).inspect();
    expect(report.holder).toBeNull();
    expect(report.abandoned).not.toBe(true);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  test.each(Object.entries(OVERWRITABLE))('is overwritten by the next grant: %s', (_, content) => {
    const file = tempLock();
    writeFileSync(file, content);
    const guard = recorded(file).acquireSync();
    expect(guard.previousHolder).toBeNull();
    expect(guard.fencingToken).toBeTypeOf('bigint');
    expect(readRecord(file)).toMatchObject({ held: true, pid: process.pid, fencingToken: guard.fencingToken });
    guard.release();
    expect(readRecord(file)).toMatchObject({ held: false, fencingToken: guard.fencingToken });
    expect(statSync(file).size).toBeGreaterThanOrEqual(content.length); // never truncated
  });

  test.each(Object.entries(FOREIGN))(
    'is never touched if its content is foreign, but can be locked: %s',
    async (_, content) => {
      const file = tempLock();
      writeFileSync(file, content);
      const lock = recorded(file);
      for (const acquire of ACQUIRE_METHODS) {
        const guard = await acquire(lock);
        expect(guard).toMatchObject({ held: true, fencingToken: null, previousHolder: null });
        guard?.release();
      }
      expect(readFileSync(file).equals(content)).toBe(true);
    },
  );
});

describe('a record with hostile content', () => {
  const HOSTILE: Record<string, Partial<RecordFields>> = {
    'a huge pid': { pid: '99999999999999999999' },
    'a pid beyond the range': { pid: '2147483648' },
    'a negative pid': { pid: '-1' },
    'pid 0': { pid: '0' },
    'a pid that is no number': { pid: '1e3' },
    'a negative token': { token: '-5' },
    'a token beyond 63 bits': { token: String(2n ** 63n) },
    'an unknown state': { state: 'stolen' },
    'no date': { acquired: 'yesterday' },
    'a start time that is no number': { start: 'x' },
  };

  test.each(Object.entries(HOSTILE))('names no holder, even with a valid checksum: %s', (_, fields) => {
    const file = tempLock();
    writeFileSync(file, forgeRecord(fields));
    const report = recorded(file).inspect();
    expect(report.holder).toBeNull();
    expect(report.abandoned).not.toBe(true);
    using guard = recorded(file).acquireSync();
    expect(guard.previousHolder).toBeNull();
    expect(guard.fencingToken).toBeTypeOf('bigint');
  });

  test('names no holder with an invalid checksum', () => {
    const file = tempLock();
    for (const checksum of ['00000000', 'ffffffff', 'XXXXXXXX', '']) {
      writeFileSync(file, forgeRecord().replace(/checksum .*/, `checksum ${checksum}`));
      expect(recorded(file).inspect().holder, checksum).toBeNull();
    }
  });

  test('does not prevent locking if its token is the largest possible', () => {
    const file = tempLock();
    writeFileSync(file, forgeRecord({ token: String(2n ** 63n - 1n), state: 'released' }));
    const guard = recorded(file).acquireSync();
    expect(guard.held).toBe(true);
    guard.release();
    const next = recorded(file).acquireSync();
    expect(next.held).toBe(true);
    expect(next.previousHolder).toBeNull();
    next.release();
  });

  test('puts no control characters or escape sequences into the message of a timeout', async () => {
    const file = tempLock();
    const holder = await RecordingActor.holding(file);
    const evil = '\x1b]0;owned\x07\x1b[2J\r\n\u202Eevil\u2028\u009b31m';
    const record = readRecord(file);
    writeFileSync(
      file,
      forgeRecord({ pid: String(holder.pid), start: String(record?.startTime), command: encodeURIComponent(evil) }),
    );
    for (const wait of [
      async () => recorded(file).acquireSync({ timeout: 0 }),
      () => recorded(file).acquire({ timeout: 0 }),
      () => recorded(file).acquire({ timeout: 40 }),
    ]) {
      const { holder, message } = await timeoutOf(wait);
      expect(holder?.command).toBe(evil);
      expect(message).toContain('owned');
      expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }
  });
});

describe('a record says held while the lock is held, and is marked released', () => {
  async function expectReleasedBy(file: string, guard: LockGuard, end: () => unknown): Promise<void> {
    expect(readRecord(file)).toMatchObject({ held: true, fencingToken: guard.fencingToken, pid: process.pid });
    await end();
    expect(readRecord(file)).toMatchObject({ held: false, fencingToken: guard.fencingToken, pid: process.pid });
    using next = recorded(file).acquireSync();
    expect(next.previousHolder).toBeNull();
  }

  const WAYS: Record<string, (guard: LockGuard) => unknown> = {
    'by release()': (guard) => guard.release(),
    'by Symbol.dispose': (guard) => guard[Symbol.dispose](),
    'by Symbol.asyncDispose': (guard) => guard[Symbol.asyncDispose](),
  };
  const LOCKS: Record<string, (file: string) => FileLock> = {
    'file lock': recorded,
    'file lock that keeps its descriptor': (file) => new FileLock(file, { recordHolder: true, keepOpen: true }),
    'fcntl lock': (file) => new FileLock(file, { recordHolder: true, mechanism: 'fcntl' }),
  };
  const CASES = Object.keys(WAYS).flatMap((way) => Object.keys(LOCKS).map((kind) => ({ way, kind })));

  test.each(CASES)('$way ($kind)', async ({ way, kind }) => {
    const file = tempLock();
    const lock = LOCKS[kind]?.(file) as FileLock;
    onTestFinished(() => lock.close());
    for (const acquire of ACQUIRE_METHODS) {
      const guard = (await acquire(lock)) as LockGuard;
      await expectReleasedBy(file, guard, () => WAYS[way]?.(guard));
    }
  });

  test('by withLock and jobLock, when the function returns or throws', async () => {
    const manager = tempManager();
    const file = jobLockFile(manager.jobsDirectory, 'job');
    const lock = recorded(file);
    for (const run of [(fn: () => void) => lock.withLock(fn), (fn: () => void) => manager.jobLock('job', fn)]) {
      await run(() => expect(readRecord(file)?.held).toBe(true));
      expect(readRecord(file)?.held).toBe(false);
      const failure = new Error('mine');
      const thrown = run(() => {
        throw failure;
      });
      await expect(thrown).rejects.toBe(failure);
      expect(readRecord(file)?.held).toBe(false);
    }
  });

  test('by unlockJobDirectory and close() of the manager', async () => {
    for (const end of ['unlock', 'close'] as const) {
      const manager = tempManager();
      const guard = await manager.lockJobDirectory('job');
      await expectReleasedBy(guard.path, guard, () =>
        end === 'unlock' ? manager.unlockJobDirectory('job') : manager.close(),
      );
    }
  });

  test('when the lock goes to a waiter in the kernel, which then records itself', async () => {
    const file = tempLock();
    const holder = await RecordingActor.holding(file);
    const wait = recorded(file).acquire();
    await untilWaiting(file);
    expect(readRecord(file)).toMatchObject({ held: true, pid: holder.pid });
    await holder.release();
    using guard = await wait;
    expect(readRecord(file)).toMatchObject({ held: true, pid: process.pid, fencingToken: guard.fencingToken });
  });

  test('only with recordHolder', () => {
    const file = tempLock();
    for (const guard of [
      new FileLock(file).acquireSync(),
      tempManager({ recordHolder: false }).lockJobDirectorySync('a'),
    ]) {
      expect(guard).toMatchObject({ fencingToken: null, previousHolder: null });
      expect(readFileSync(guard.path, 'utf8')).toBe('');
      guard.release();
    }
  });
});

describe('an end without release', () => {
  interface Case {
    end: string;
    where: string;
    untilExit: boolean;
    released: boolean;
  }
  const inProcess = { where: 'a process' };
  const inWorker = { where: 'a worker' };
  const CASES: Case[] = [
    // Without untilExit() only release() marks the record …
    ...['the end of the script', 'process.exit()', 'an uncaught exception', 'SIGTERM', 'SIGKILL'].map((end) => ({
      end,
      ...inProcess,
      untilExit: false,
      released: false,
    })),
    ...['the end of the script', 'process.exit()', 'an uncaught exception', 'terminate()'].map((end) => ({
      end,
      ...inWorker,
      untilExit: false,
      released: false,
    })),
    { end: 'release()', ...inProcess, untilExit: false, released: true },
    { end: 'release()', ...inWorker, untilExit: false, released: true },
    // … and with it a normal end does too.
    { end: 'the end of the script', ...inProcess, untilExit: true, released: true },
    { end: 'process.exit()', ...inProcess, untilExit: true, released: true },
    { end: 'the end of the script', ...inWorker, untilExit: true, released: true },
    { end: 'release()', ...inProcess, untilExit: true, released: true },
    ...['process.exit(7)', 'an uncaught exception', 'an unhandled rejection', 'SIGTERM', 'SIGKILL'].map((end) => ({
      end,
      ...inProcess,
      untilExit: true,
      released: false,
    })),
    ...['an uncaught exception', 'terminate()'].map((end) => ({ end, ...inWorker, untilExit: true, released: false })),
  ];

  test.each(CASES)(
    'of $where by $end, untilExit $untilExit: marked as released: $released',
    async ({ end, where, untilExit, released }) => {
      const file = tempLock();
      const inWorker = where === 'a worker';
      const script = await Script.start('recorded-end.cjs', { path: file, inWorker, untilExit, end });
      expect(readRecord(file)?.held).toBe(true);
      if (end.startsWith('SIG')) script.signal(end as NodeJS.Signals);
      else script.proceed();
      await script.ended();
      const record = readRecord(file);
      expect(record?.held).toBe(!released);
      using next = recorded(file).acquireSync();
      if (released) expect(next.previousHolder).toBeNull();
      else expect(next.previousHolder).toMatchObject({ pid: record?.pid, running: false });
    },
  );

  test('of a worker is reported, even though its process is still running', async () => {
    const file = tempLock();
    const worker = await Actor.worker();
    await RecordingActor.holding(file, worker);
    await worker.end();
    using next = recorded(file).acquireSync();
    expect(next.previousHolder).toMatchObject({ pid: process.pid, running: true, thisProcess: true });
  });
});

describe('shared guards', () => {
  test('neither read nor write the record', async () => {
    const file = tempLock();
    const lock = recorded(file);
    for (const guard of [lock.acquireSync({ mode: 'shared' }), await lock.acquire({ mode: 'shared' })]) {
      expect(guard).toMatchObject({ fencingToken: null, previousHolder: null });
      guard.release();
    }
    expect(readFileSync(file, 'utf8')).toBe('');
    lock.acquireSync().release();
    const before = readFileSync(file, 'utf8');
    lock.acquireSync({ mode: 'shared' }).release();
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  test('of a process that dies are not reported', async () => {
    const file = tempLock();
    const lock = recorded(file);
    lock.acquireSync().release();
    const shared = await RecordingActor.open(file);
    expect(await shared.acquire('shared')).toMatchObject({ previousHolder: null, fencingToken: null });
    await shared.crash();
    using next = lock.acquireSync();
    expect(next.previousHolder).toBeNull();
  });
});

describe('if the record cannot be written', () => {
  test.skipIf(!isRoot)('on a full disk, the lock is still granted, and later grants are recorded again', () => {
    const directory = tempDir();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', directory], { encoding: 'utf8' });
    if (mounted.status !== 0) {
      console.warn(`Skipped: a full disk. tmpfs cannot be mounted: ${mounted.stderr}`);
      return;
    }
    onTestFinished(() => void spawnSync('umount', ['--lazy', directory]));
    const [file, filler] = [path.join(directory, 'l'), path.join(directory, 'filler')];
    try {
      for (;;) writeFileSync(filler, Buffer.alloc(4096), { flag: 'a' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
    const lock = recorded(file);
    const guard = lock.acquireSync();
    expect(guard).toMatchObject({ held: true, fencingToken: null, previousHolder: null });
    expect(lock.tryAcquire()).toBeNull();
    guard.release();
    expect(readRecord(file)).toBeNull();
    truncateSync(filler);
    using next = lock.acquireSync();
    expect(next.fencingToken).toBeTypeOf('bigint');
  });

  test('to a read-only file, the lock is still granted', async () => {
    if (!isRoot) console.warn('Skipped: a read-only file of another user. Only root can switch users.');
    const file = tempLock();
    chmodSync(path.dirname(file), 0o755);
    const pid = await abandon(file);
    chmodSync(file, 0o444);
    const before = readFileSync(file, 'utf8');
    // Root may write any file, so run as another user.
    const through = isRoot ? ['setpriv', '--reuid=54323', '--regid=54323', '--clear-groups'] : [];
    const reader = await RecordingActor.open(file, await Actor.process({ through }));
    for (let round = 0; round < 2; round++) {
      const guard = await reader.acquire();
      // It cannot replace the record, so it sees the death each time.
      expect(guard).toMatchObject({ held: true, fencingToken: null, previousHolder: { pid } });
      await reader.release();
    }
    expect(readFileSync(file, 'utf8')).toBe(before);
  });
});

test('arguments, which can hold secrets, appear in no record and in no report, except for the script', () => {
  const directory = tempDir();
  const script = path.join(realpathSync(directory), 'worker.js');
  const code = (secret: string) =>
    `/* ${secret} */ const { FileLock } = require(${JSON.stringify(PACKAGE)});
     const lock = new FileLock(${JSON.stringify(path.join(directory, 'l'))}, { recordHolder: true });
     globalThis.guard = lock.acquireSync();
     console.log(JSON.stringify(lock.inspect()));`;
  writeFileSync(script, code('in the script'));
  const secret = 'hunter2';
  const RUNS: [string[], string][] = [
    [[script, `--password=${secret}`, secret], `node ${script}`],
    [[`--title=${secret}`, script, secret], `node ${script}`],
    [['-e', code(secret), secret], 'node'],
    [['-e', code(secret), `/${secret}`], 'node'],
    [['-e', code(secret), `/${secret}.js`], 'node'],
    [['-p', code(secret), '--', `--token=${secret}`], 'node'],
  ];
  for (const [args, command] of RUNS) {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    const content = readFileSync(path.join(directory, 'l'), 'utf8');
    expect(content, args.join(' ')).not.toContain(secret);
    expect(stdout, args.join(' ')).not.toContain(secret);
    expect(parseRecord(Buffer.from(content))?.command, args.join(' ')).toBe(command);
  }
});

test('inspect() never sees a partial record, however often it is rewritten', async () => {
  const file = tempLock();
  const writer = await RecordingActor.open(file);
  const lock = recorded(file);
  let ended = false;
  const cycling = writer.actor.call<unknown[]>('cycle', { lock: file, rounds: 2000 }).finally(() => {
    ended = true;
  });
  let [inspections, holders] = [0, 0];
  while (!ended) {
    const { state, holder, abandoned } = lock.inspect();
    inspections++;
    expect(['missing', 'free', 'held', 'unknown']).toContain(state);
    if (holder !== null) {
      holders++;
      expect(holder).toMatchObject({ pid: writer.pid, hostname: hostname(), running: true });
      expect(holder.command).toMatch(/^node .*actor\.cjs$/);
    }
    expect(abandoned, 'while the holder is alive').not.toBe(true);
    if (existsSync(file) && statSync(file).size > 0) expect(readRecord(file)?.pid).toBe(writer.pid);
    await new Promise(setImmediate);
  }
  expect(await cycling).toHaveLength(2000);
  console.log(`${inspections} inspections, ${holders} with a holder`);
  expect(inspections).toBeGreaterThan(0);
});

test('a wait that times out names the recorded holder', async () => {
  const manager = tempManager();
  const file = jobLockFile(manager.jobsDirectory, 'job');
  const before = Date.now();
  const holder = await RecordingActor.holding(file);
  const expected = {
    pid: holder.pid,
    hostname: hostname(),
    command: expect.stringMatching(/^node .*actor\.cjs$/),
    acquiredAt: readRecord(file)?.acquiredAt,
    running: true,
    thisProcess: false,
  };
  expect(expected.acquiredAt?.getTime()).toBeGreaterThanOrEqual(before);
  for (const wait of [
    () => manager.lockJobDirectory('job', { timeout: 60 }),
    () => manager.lockJobDirectory('job', { timeout: 0 }),
    async () => manager.lockJobDirectorySync('job', { timeout: 60 }),
  ]) {
    const error = await timeoutOf(wait);
    expect(error).toMatchObject({ name: 'LockTimeoutError', path: file, holder: expected });
    expect(error.message).toMatch(
      new RegExp(`process ${holder.pid} \\(node .*actor\\.cjs\\) since \\d{4}-.*, which is running`),
    );
  }
  expect(manager.inspectJob('job').holder).toEqual(expected);
});
