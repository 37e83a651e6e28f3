// Laws of the addon's own functions (native/boundary/environment.h) on Windows, each tried in the process that this is
// run in. Takes the addon's path; prints each law that does not hold, and a count at the end.
'use strict';
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { getSystemErrorMap } = require('node:util');
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');

const [ADDON, ROLE, ...ROLE_ARGUMENTS] = isMainThread ? process.argv.slice(2) : [workerData.addon, 'worker'];
const native = require(ADDON);

const [BUSY, GRANTED, REPLACED, TIMED_OUT, CANCELLED] = [0, 1, 2, 3, 4];
const NOT_A_FILE = -1;
const LEFT_ALONE = -1;
const FOREVER = 1e15;
const SYSCALLS = ['', 'open', 'fstat', 'fcntl', 'flock', 'stat', 'read', 'write', 'unlink', 'mkdir'];

function nameOf(result) {
  if (result >= NOT_A_FILE) return result;
  const [code] = getSystemErrorMap().get(result % 4096) ?? [`${result % 4096}`];
  return `${code} ${SYSCALLS[Math.floor(-result / 4096)]}`;
}

function tryToOpen(file, { mustWrite = false, createParents = false } = {}) {
  return native.open(path.toNamespacedPath(file), 0o666, 0, mustWrite, createParents);
}

function open(file, options) {
  const handle = tryToOpen(file, options);
  assert.ok(handle >= 0, `cannot open ${file}: ${nameOf(handle)}`);
  return handle;
}

// --- What other processes and threads do --------------------------------------------------------------------------

const ROLES = {
  /** Holds the lock until it is killed. */
  hold(file, sign) {
    fs.writeFileSync(sign, String(native.tryLock(open(file), true)));
    setInterval(() => {}, 1000);
  },
  /** Ends while one of its waits is pending. */
  endWhileWaiting(file) {
    native.onWaitEnded(() => {});
    native.startWait(open(file), true, FOREVER);
    setTimeout(() => process.exit(7), 20);
  },
  /** A thread that takes the lock, and ends with it. */
  worker() {
    parentPort.postMessage(native.tryLock(open(workerData.file), true));
  },
};

const start = (role, ...args) => spawn(process.execPath, [__filename, ADDON, role, ...args], { stdio: 'ignore' });

const exitOf = (child) => new Promise((resolve) => child.on('exit', (code) => resolve(code)));

async function contentOf(file) {
  for (;;) {
    if (fs.existsSync(file) && fs.statSync(file).size > 0) return fs.readFileSync(file, 'latin1');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// --- Laws ---------------------------------------------------------------------------------------------------------

const ended = new Map();
const nextEnd = (handle) => new Promise((resolve) => ended.set(handle, resolve));

let folder;
let files = 0;
const newFile = () => path.join(folder, `lock ${++files}`);

const LAWS = {
  'an exclusive lock excludes every other open file'() {
    const file = newFile();
    const [first, second] = [open(file), open(file)];
    assert.equal(native.tryLock(first, true), GRANTED);
    assert.equal(native.tryLock(second, true), BUSY);
    assert.equal(native.tryLock(second, false), BUSY);
    assert.equal(native.unlock(first), 0);
    assert.equal(native.tryLock(second, true), GRANTED);
  },
  'shared locks go together'() {
    const file = newFile();
    const [first, second, third] = [open(file), open(file), open(file)];
    assert.equal(native.tryLock(first, false), GRANTED);
    assert.equal(native.tryLock(second, false), GRANTED);
    assert.equal(native.tryLock(third, true), BUSY);
  },
  'both mechanisms are one'() {
    const file = newFile();
    const other = native.open(path.toNamespacedPath(file), 0o666, 1, false, false);
    assert.equal(native.tryLock(open(file), true), GRANTED);
    assert.equal(native.tryLock(other, true), BUSY);
    assert.equal(native.conflictsWithOwn(other, true), true);
  },
  'a closed file holds nothing'() {
    const file = newFile();
    const first = open(file);
    native.tryLock(first, true);
    native.close(first);
    assert.equal(native.tryLock(open(file), true), GRANTED);
  },
  'there is no descriptor'() {
    assert.equal(native.descriptor(open(newFile())), -1);
  },
  'a record is written by its holder, and read by others from the second byte on'() {
    const file = newFile();
    const [holder, other] = [open(file), open(file)];
    native.tryLock(holder, true);
    const record = Buffer.from('native-file-lock 1\n');
    assert.equal(native.write(holder, record, record.length), record.length);
    const content = Buffer.alloc(64);
    assert.equal(native.read(other, content, 1), record.length - 1);
    assert.equal(content.toString('latin1', 0, record.length - 1), 'ative-file-lock 1\n');
    assert.equal(native.read(other, content, 1000), 0);
    assert.equal(native.read(holder, content, 0), record.length);
  },
  async 'a wait ends with the grant'() {
    const file = newFile();
    const [holder, waiter] = [open(file), open(file)];
    native.tryLock(holder, true);
    const end = nextEnd(waiter);
    assert.equal(native.startWait(waiter, true, FOREVER), true);
    native.unlock(holder);
    assert.equal(await end, GRANTED);
    assert.equal(native.tryLock(holder, true), BUSY);
  },
  async 'a wait ends at its deadline, and not before'() {
    const file = newFile();
    native.tryLock(open(file), true);
    const waiter = open(file);
    const end = nextEnd(waiter);
    const before = performance.now();
    native.startWait(waiter, true, 60);
    assert.equal(await end, TIMED_OUT);
    assert.ok(performance.now() - before >= 60);
  },
  'a wait that is cancelled takes nothing'() {
    const file = newFile();
    const [holder, waiter] = [open(file), open(file)];
    native.tryLock(holder, true);
    native.startWait(waiter, true, FOREVER);
    assert.equal(native.cancelWait(waiter), CANCELLED);
    native.unlock(holder);
    assert.equal(native.tryLock(open(file), true), GRANTED);
  },
  'a wait on this thread ends with the grant or about its deadline'() {
    const file = newFile();
    const [holder, waiter] = [open(file), open(file)];
    native.tryLock(holder, true);
    assert.equal(native.waitHere(waiter, true, 20), BUSY);
    native.unlock(holder);
    assert.equal(native.waitHere(waiter, true, 20), GRANTED);
  },
  async '300 waits for a shared lock are all granted'() {
    const file = newFile();
    const holder = open(file);
    native.tryLock(holder, true);
    const waiters = Array.from({ length: 300 }, () => open(file));
    const ends = waiters.map(nextEnd);
    for (const waiter of waiters) native.startWait(waiter, false, FOREVER);
    native.unlock(holder);
    assert.deepEqual(new Set(await Promise.all(ends)), new Set([GRANTED]));
    for (const waiter of waiters) native.close(waiter);
  },
  'others may rename the file, and then it is no longer the lock'() {
    const file = newFile();
    const [holder, late] = [open(file), open(file)];
    native.tryLock(holder, true);
    fs.renameSync(file, `${file}.old`);
    assert.equal(native.verify(holder), REPLACED);
    native.unlock(holder);
    assert.equal(native.tryLock(late, true), REPLACED);
    assert.equal(native.tryLock(open(file), true), GRANTED);
  },
  'what is no file is refused, and never waited for'() {
    fs.mkdirSync(path.join(folder, 'directory'));
    assert.equal(nameOf(tryToOpen(path.join(folder, 'directory'))), 'EISDIR open');
    assert.equal(tryToOpen('\\\\.\\NUL'), NOT_A_FILE);
  },
  'a missing directory is made where that is asked'() {
    const file = path.join(folder, 'a', 'b', 'lock');
    assert.equal(nameOf(tryToOpen(file)), 'ENOENT open');
    open(file, { createParents: true });
    assert.equal(nameOf(tryToOpen(path.join(file, 'c', 'lock'), { createParents: true })), 'ENOTDIR mkdir');
    assert.equal(nameOf(tryToOpen('Q:\\a\\lock', { createParents: true })), 'ENOENT open');
  },
  'a path may have 2,000 characters'() {
    const file = path.join(folder, ...Array(32).fill('n'.repeat(60)), 'lock');
    const handle = open(file, { createParents: true });
    assert.equal(native.tryLock(handle, true), GRANTED);
    assert.equal(native.verify(handle), GRANTED);
  },
  'what is old and free is removed, and nothing else'() {
    const old = (name) => {
      fs.writeFileSync(path.join(folder, name), 'old');
      fs.utimesSync(path.join(folder, name), 1, 1);
    };
    const buffer = Buffer.alloc(16);
    const directory = native.openDirectory(path.toNamespacedPath(folder));
    const remove = (subdirectory, name, dryRun = false) =>
      nameOf(native.removeStale(directory, subdirectory, name, 60_000, dryRun, buffer));
    fs.mkdirSync(path.join(folder, 'jobs'));
    for (const name of ['free', 'held', 'jobs\\job']) old(name);
    fs.writeFileSync(path.join(folder, 'young'), '');
    native.tryLock(open(path.join(folder, 'held')), false);
    assert.equal(remove('', 'free', true), 3);
    assert.ok(fs.existsSync(path.join(folder, 'free')));
    assert.equal(remove('', 'free'), 3);
    assert.equal(buffer.toString('latin1', 0, 3), 'old');
    assert.equal(remove('jobs', 'job'), 3);
    for (const name of ['held', 'young', 'missing', 'jobs', '..\\young']) assert.equal(remove('', name), LEFT_ALONE);
    for (const name of ['missing', 'held']) assert.equal(remove(name, 'job'), LEFT_ALONE);
    const left = ['free', 'held', 'young', 'jobs\\job'].filter((name) => fs.existsSync(path.join(folder, name)));
    assert.deepEqual(left, ['held', 'young']);
    native.closeDirectory(directory);
    assert.equal(nameOf(native.openDirectory(path.join(folder, 'held'))), 'ENOTDIR open');
  },
  'who has a removed file open finds that it is no longer the lock'() {
    const file = newFile();
    const late = open(file);
    fs.utimesSync(file, 1, 1);
    const directory = native.openDirectory(path.toNamespacedPath(folder));
    assert.equal(native.removeStale(directory, '', path.basename(file), 60_000, false, Buffer.alloc(1)), 0);
    native.closeDirectory(directory);
    assert.equal(native.tryLock(late, true), REPLACED);
  },
  async 'the lock of a process that is killed is free'() {
    const file = newFile();
    const holder = start('hold', file, `${file}.sign`);
    assert.equal(await contentOf(`${file}.sign`), '1');
    const waiter = open(file);
    assert.equal(native.tryLock(waiter, true), BUSY);
    const end = nextEnd(waiter);
    native.startWait(waiter, true, FOREVER);
    holder.kill();
    assert.equal(await end, GRANTED);
  },
  async 'a process ends while it waits'() {
    const file = newFile();
    native.tryLock(open(file), true);
    assert.equal(await exitOf(start('endWhileWaiting', file)), 7);
  },
  async 'the lock of a thread is free when it ends'() {
    const file = newFile();
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(__filename, { workerData: { addon: ADDON, file } });
      const outcome = new Promise((resolve) => worker.on('message', resolve));
      const end = new Promise((resolve) => worker.on('exit', resolve));
      assert.equal(await outcome, GRANTED);
      assert.equal(await end, 0);
    }
    assert.equal(native.tryLock(open(file), true), GRANTED);
  },
  'the clocks are those of Node.js'() {
    assert.ok(Math.abs(native.wallClock() / 1000 - Date.now()) < 1000);
    native.unlock(open(newFile()));
    assert.ok(Math.abs(native.lastRelease[0] - Number(process.hrtime.bigint()) / 1e6) < 1000);
  },
};

async function main() {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'native-file-lock-'));
  native.onWaitEnded((handle, outcome) => ended.get(handle)(outcome));
  native.keepAlive(true);
  let failed = 0;
  for (const [law, test] of Object.entries(LAWS)) {
    try {
      await test();
    } catch (error) {
      failed++;
      console.log(`FAILED: ${law}\n${error.stack}`);
    }
  }
  console.log(`${process.version}: ${Object.keys(LAWS).length - failed} of ${Object.keys(LAWS).length} laws hold`);
  process.exit(failed === 0 ? 0 : 1);
}

if (ROLE === undefined) main();
else ROLES[ROLE](...ROLE_ARGUMENTS);
