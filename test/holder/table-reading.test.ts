import fs, { readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { inspect } from '../../lib/holder/inspect.js';
import { readTable, readTableSync } from '../../lib/holder/kernel-locks.js';
import { FileLock } from '../../lib/index.js';
import { loadNative } from '../../lib/native.js';
import { Actor } from '../support/actor.js';
import { tempDir } from '../support/temp-dir.js';

const FIRST_PID_NAMESPACE = 'pid:[4026531836]'; // the same number on every machine
const seesEveryProcess = readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE;
if (!seesEveryProcess) console.warn('Skipped: free locks. In this pid namespace nobody can tell that a lock is free.');
const LIB = path.join(__dirname, '../../dist/holder/kernel-locks.js');
/** So many that the kernel gives its table in several pieces. */
const MANY = 300;

/** How many descriptors of a file are open in this process, all threads included. */
function openDescriptors(file: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // that of the listing itself
    }
  }).length;
}

function holdMany(): { paths: string[] } & Disposable {
  const directory = tempDir();
  const paths = Array.from({ length: MANY }, (_, index) => path.join(directory, String(index)));
  const guards = paths.map((each) => new FileLock(each).acquireSync());
  return { paths, [Symbol.dispose]: () => guards.forEach((guard) => void guard.release()) };
}

test('a worker that is terminated while it reads the table leaves no descriptor open', async () => {
  using _many = holdMany(); // reading takes long
  for (let round = 0; round < 20; round++) {
    const worker = await Actor.worker();
    await worker.run(async (require, lib) => {
      const { readTable } = require(lib) as typeof import('../../lib/holder/kernel-locks.js');
      await readTable();
      const readOn = (): Promise<void> => readTable().then(readOn);
      void readOn();
    }, LIB);
    await worker.end();
  }
  expect(openDescriptors('/proc/locks')).toBe(0);
});

test('the table off the thread and on it is the same, and neither reading leaves a descriptor open', async () => {
  using many = holdMany();
  const inodes = many.paths.map((each) => fs.statSync(each).ino);
  for (const table of [readTableSync(), await readTable()]) {
    expect(table?.inOnePiece).toBe(false);
    for (const inode of inodes) expect(table?.text).toContain(`:${inode} `);
  }
  expect(openDescriptors('/proc/locks')).toBe(0);
});

test.each([
  ['on the thread', async () => readTableSync()],
  ['off it', readTable],
] as const)('a reading that fails %s gives no table, and leaves no descriptor open', async (_, readIt) => {
  const directory = tempDir(); // which can be opened, but not read
  const { openSync } = fs;
  vi.spyOn(fs, 'openSync').mockImplementation((file, ...rest) =>
    openSync(file === '/proc/locks' ? directory : file, ...rest),
  );
  const native = loadNative('');
  const { startReadAll } = native;
  vi.spyOn(native, 'startReadAll').mockImplementation((handle) => startReadAll(handle, directory));
  const table = await readIt();
  vi.restoreAllMocks();
  expect(table).toBeNull();
  expect(openDescriptors(directory)).toBe(0);
});

test.skipIf(!seesEveryProcess)('a held lock that one reading in several pieces lacks is not reported as free', () => {
  using many = holdMany();
  const [file = ''] = many.paths;
  const { ino } = fs.statSync(file);
  const { readSync } = fs;
  // As if locks before it had been released between two pieces: its line is left out, once.
  let leaveOut = true;
  vi.spyOn(fs, 'readSync').mockImplementation(((fd: number, buffer: Buffer, ...rest: [number, number, null]) => {
    const count = readSync(fd, buffer, ...rest);
    if (readlinkSync(`/proc/self/fd/${fd}`) !== '/proc/locks') return count;
    if (count === 0) leaveOut = false;
    if (!leaveOut) return count;
    const lines = buffer.toString('latin1', 0, count).split('\n');
    return buffer.write(lines.filter((line) => !line.includes(`:${ino} `)).join('\n'), 'latin1');
  }) as typeof readSync);
  const report = inspect(file, 'flock', null);
  vi.restoreAllMocks();
  expect(leaveOut).toBe(false);
  expect(report).toMatchObject({ state: 'held', holder: { thisProcess: true } });
});
