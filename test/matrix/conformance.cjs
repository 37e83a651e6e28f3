// The essence of the contract, checked in any runtime that can load the package: plain JavaScript, without
// Node.js features that other runtimes may lack. Prints one line for each check, `ok <check>` or
// `FAILED <check>: <why>`, and exits with 0 or 1.
//
// The package is resolved as `native-file-lock`, or loaded from the folder in NATIVE_FILE_LOCK_PACKAGE.
// NATIVE_FILE_LOCK_RUNTIME is the command that runs a script in this runtime, as a JSON array, if that is
// not process.execPath alone (an emulator, another loader, `deno run -A`).
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const PACKAGE = process.env.NATIVE_FILE_LOCK_PACKAGE ?? 'native-file-lock';
const RUNTIME = JSON.parse(process.env.NATIVE_FILE_LOCK_RUNTIME ?? JSON.stringify([process.execPath]));
/** How long a check may take (ms) before it counts as hung. Not a performance bound. */
const CHECK_TIMEOUT = 120_000;
const NO_TIMEOUT = { timeout: Number.POSITIVE_INFINITY };

const { FileLock, JobLockManager, jobDirectoryLock, tryLockJobDirectory, LockError, LockTimeoutError } =
  require(PACKAGE);

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
async function until(condition) {
  while (!condition()) await sleep(5);
}
/** The current state of a promise: 'pending', 'fulfilled' or 'rejected'. */
const stateOf = (promise) =>
  Promise.race([
    promise.then(
      () => 'fulfilled',
      () => 'rejected',
    ),
    sleep(30).then(() => 'pending'),
  ]);

// --- Other processes and threads. Each prints or posts a word when it has reached a state. ------------

const ACTORS = {
  hold: (report, file, options) => {
    globalThis.guard = new FileLock(file, options).acquireSync();
    report('held');
    setInterval(() => {}, 1000);
  },
  holdAll: (report, files) => {
    globalThis.guards = files.map((file) => new FileLock(file).acquireSync());
    report('held');
    setInterval(() => {}, 1000);
  },
  holdFor: async (report, file, milliseconds) => {
    const guard = new FileLock(file).acquireSync();
    report('held');
    await sleep(milliseconds);
    guard.release();
    report('released');
  },
  holdJob: async (report, directory, jobId) => {
    globalThis.guard = await new JobLockManager(directory).lockJobDirectory(jobId);
    report('held');
    setInterval(() => {}, 1000);
  },
  exitWhileWaiting: (report, file) => {
    new FileLock(file).acquire(NO_TIMEOUT).then(
      () => report('granted'),
      () => report('rejected'),
    );
    setTimeout(() => process.exit(7), 100);
  },
  waitUntilTimeout: (report, file) => {
    // Only the wait keeps this process alive.
    new FileLock(file).acquire({ timeout: 300 }).catch((error) => report(error.code));
  },
  exitWhileHolding: (report, file) => {
    globalThis.guard = new FileLock(file).acquireSync();
    report('held');
  },
  wait: (report, file) => {
    new FileLock(file).acquire(NO_TIMEOUT).then(
      () => report('granted'),
      () => report('rejected'),
    );
    report('waiting');
  },
  waitSync: (report, file) => {
    report('waiting');
    new FileLock(file).acquireSync(NO_TIMEOUT);
    report('granted');
  },
};

/** Starts an actor in a child process. */
function startProcess(actor, ...args) {
  const [command, ...before] = RUNTIME;
  const child = spawn(command, [...before, __filename, actor, ...args.map((each) => JSON.stringify(each))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  return {
    pid: child.pid,
    ended,
    words: () => output.trim().split('\n'),
    until: (word) => until(() => output.includes(word)),
    kill: (signal = 'SIGKILL') => {
      child.kill(signal);
      return ended;
    },
  };
}

/** Starts an actor in a worker thread. */
function startWorker(actor, ...args) {
  const worker = new Worker(__filename, { workerData: { actor, args } });
  const messages = [];
  let failure;
  worker.on('message', (word) => messages.push(word));
  worker.on('error', (error) => {
    failure = error;
  });
  return {
    words: () => messages,
    until: (word) =>
      until(() => {
        if (failure) throw failure;
        return messages.includes(word);
      }),
    terminate: () => worker.terminate(),
  };
}

// --- The checks. Each gets a folder of its own. ------------------------------------------------------

const CHECKS = {
  'a lock is acquired and released': async (folder) => {
    const lock = new FileLock(path.join(folder, 'deep/er/lock'));
    const guard = await lock.acquire();
    assert.ok(guard.held);
    assert.strictEqual(guard.mode, 'exclusive');
    assert.strictEqual(lock.tryAcquire(), null);
    guard.release();
    guard.release();
    assert.ok(!guard.held);
    const next = lock.tryAcquire();
    assert.ok(next.held);
    next[Symbol.dispose]();
    assert.ok(!next.held);
    assert.strictEqual(await lock.withLock((inside) => inside.held), true);
  },

  'shared locks coexist and exclude exclusive ones': async (folder) => {
    for (const mechanism of ['flock', 'fcntl']) {
      const lock = new FileLock(path.join(folder, mechanism), { mechanism });
      const readers = [lock.tryAcquire({ mode: 'shared' }), await lock.acquire({ mode: 'shared' })];
      assert.strictEqual(lock.tryAcquire(), null);
      for (const reader of readers) reader.release();
      const writer = lock.tryAcquire();
      assert.strictEqual(lock.tryAcquire({ mode: 'shared' }), null);
      writer.release();
    }
  },

  'a waiter is granted when the holder releases': async (folder) => {
    const file = path.join(folder, 'lock');
    const child = startProcess('holdFor', file, 300);
    await child.until('held');
    const guard = await new FileLock(file).acquire();
    assert.ok(guard.held);
    guard.release();
    await child.ended;
  },

  'a wait behind a guard of this thread times out, never early': async (folder) => {
    const lock = new FileLock(path.join(folder, 'lock'));
    const guard = lock.tryAcquire();
    const start = performance.now();
    await assert.rejects(lock.acquire({ timeout: 200 }), (error) => {
      assert.ok(error instanceof LockTimeoutError && error instanceof LockError);
      assert.strictEqual(error.code, 'ERR_LOCK_TIMEOUT');
      assert.strictEqual(error.timeout, 200);
      return true;
    });
    assert.ok(performance.now() - start >= 199);
    guard.release();
    lock.tryAcquire().release();
  },

  'a wait in the kernel times out, never early': async (folder) => {
    for (const mechanism of ['flock', 'fcntl']) {
      const file = path.join(folder, mechanism);
      const child = startProcess('hold', file, { mechanism });
      await child.until('held');
      const lock = new FileLock(file, { mechanism });
      let start = performance.now();
      await assert.rejects(lock.acquire({ timeout: 200 }), { code: 'ERR_LOCK_TIMEOUT' });
      assert.ok(performance.now() - start >= 199);
      start = performance.now();
      assert.throws(() => lock.acquireSync({ timeout: 200 }), { code: 'ERR_LOCK_TIMEOUT' });
      assert.ok(performance.now() - start >= 199);
      assert.strictEqual(lock.tryAcquire(), null);
      await child.kill();
    }
  },

  'an aborted wait rejects with the reason of its signal': async (folder) => {
    const file = path.join(folder, 'lock');
    await assert.rejects(
      new FileLock(file).acquire({ signal: AbortSignal.abort(new Error('before')) }),
      /^Error: before$/,
    );
    assert.ok(!fs.existsSync(file));
    const child = startProcess('hold', file);
    await child.until('held');
    const controller = new AbortController();
    const wait = new FileLock(file).acquire({ signal: controller.signal });
    assert.strictEqual(await stateOf(wait), 'pending');
    controller.abort(new Error('meanwhile'));
    await assert.rejects(wait, /^Error: meanwhile$/);
    await child.kill();
    // The aborted wait never acquires the lock.
    new FileLock(file).acquireSync().release();
  },

  'waiters are granted in FIFO order': async (folder) => {
    const lock = new FileLock(path.join(folder, 'lock'));
    const guard = lock.tryAcquire();
    const order = [];
    const waits = [1, 2, 3, 4, 5].map((number) =>
      lock.withLock(async () => {
        order.push(number);
        await sleep(1);
      }),
    );
    guard.release();
    await Promise.all(waits);
    assert.deepStrictEqual(order, [1, 2, 3, 4, 5]);
  },

  'acquireSync waits for another process, and fails with EDEADLK for its own thread': async (folder) => {
    const file = path.join(folder, 'lock');
    const lock = new FileLock(file);
    const guard = lock.acquireSync();
    assert.throws(() => lock.acquireSync(), { code: 'EDEADLK' });
    guard.release();
    const child = startProcess('holdFor', file, 300);
    await child.until('held');
    lock.acquireSync().release();
    await child.ended;
  },

  'more waits than waiter threads are all granted': async (folder) => {
    const files = Array.from({ length: 80 }, (_, index) => path.join(folder, `lock-${index}`));
    const child = startProcess('holdAll', files);
    await child.until('held');
    const waits = files.map((file) => new FileLock(file).acquire());
    assert.strictEqual(await stateOf(Promise.race(waits)), 'pending');
    await child.kill();
    for (const guard of await Promise.all(waits)) guard.release();
  },

  'the lock of a killed holder is released': async (folder) => {
    const file = path.join(folder, 'lock');
    const child = startProcess('hold', file);
    await child.until('held');
    const wait = new FileLock(file).acquire(NO_TIMEOUT);
    assert.strictEqual(await stateOf(wait), 'pending');
    assert.strictEqual((await child.kill()).signal, 'SIGKILL');
    (await wait).release();
  },

  'a record names the holder, and a holder that died': async (folder) => {
    const lock = new FileLock(path.join(folder, 'lock'), { recordHolder: true });
    const first = lock.acquireSync();
    assert.strictEqual(typeof first.fencingToken, 'bigint');
    assert.strictEqual(first.previousHolder, null);
    assert.strictEqual(lock.inspect().holder.thisProcess, true);
    first.release();
    const child = startProcess('hold', lock.path, { recordHolder: true });
    await child.until('held');
    const { state, holder } = lock.inspect();
    assert.strictEqual(state, 'held');
    assert.strictEqual(holder.pid, child.pid);
    assert.strictEqual(holder.thisProcess, false);
    await child.kill();
    // Windows does not tell whether somebody reads under it; the record tells who ended.
    const after = process.platform === 'win32' ? ['unknown', null] : ['free', true];
    assert.deepStrictEqual([lock.inspect().state, lock.inspect().abandoned], after);
    assert.strictEqual(lock.inspect().holder.running, false);
    const second = await lock.acquire();
    assert.strictEqual(second.previousHolder.pid, child.pid);
    assert.ok(second.fencingToken > first.fencingToken);
    second.release();
    const third = lock.tryAcquire();
    assert.strictEqual(third.previousHolder, null);
    assert.ok(third.fencingToken > second.fencingToken);
    third.release();
  },

  'jobs are locked, inspected and cleaned up': async (folder) => {
    const manager = new JobLockManager(folder);
    const guard = await manager.lockJobDirectory('one');
    assert.strictEqual(guard.jobId, 'one');
    assert.ok(fs.existsSync(path.join(folder, 'one/.lock')));
    assert.ok(manager.isJobLocked('one'));
    assert.deepStrictEqual(manager.getLockStatus(), { activeLocks: ['one'], lockCount: 1 });
    assert.strictEqual(manager.tryLockJobDirectory('one'), null);
    assert.strictEqual(await tryLockJobDirectory('one', folder), null);
    assert.strictEqual(manager.unlockJobDirectory('one'), true);
    assert.strictEqual(await manager.jobLock('two', () => 2), 2);
    assert.strictEqual(await jobDirectoryLock('two', folder, ({ held }) => held), true);
    assert.strictEqual(await manager.jobsIndexLock(() => 'index'), 'index');
    assert.throws(() => manager.isJobLocked('../three'), { code: 'ERR_INVALID_ARG_VALUE' });

    const child = startProcess('holdJob', folder, 'one');
    await child.until('held');
    assert.strictEqual(manager.inspectJob('one').holder.pid, child.pid);
    const old = new Date(Date.now() - 7_200_000);
    for (const job of ['one', 'two']) fs.utimesSync(path.join(folder, job, '.lock'), old, old);
    assert.deepStrictEqual(
      (await manager.cleanupStaleLocks()).map(({ jobId }) => jobId),
      ['two'],
    );
    await child.kill();
    const next = await manager.lockJobDirectory('one');
    assert.strictEqual(next.previousHolder.pid, child.pid);
    const pending = manager.lockJobDirectory('one');
    await Promise.all([assert.rejects(pending, { code: 'ERR_LOCK_CLOSED' }), manager.close()]);
    assert.ok(!next.held);
  },

  'the end of a worker thread releases its locks': async (folder) => {
    const file = path.join(folder, 'lock');
    const worker = startWorker('hold', file);
    await worker.until('held');
    assert.strictEqual(new FileLock(file).tryAcquire(), null);
    const wait = new FileLock(file).acquire(NO_TIMEOUT);
    await worker.terminate();
    (await wait).release();
  },

  'a worker thread can be terminated while it waits': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    for (const actor of ['wait', 'waitSync', 'wait', 'waitSync']) {
      const worker = startWorker(actor, file);
      await worker.until('waiting');
      await sleep(50);
      await worker.terminate();
      assert.deepStrictEqual(worker.words(), ['waiting']);
    }
    guard.release();
    // None of the terminated waits acquires the lock.
    new FileLock(file).acquireSync().release();
  },

  'a waiting worker thread is granted the lock': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    for (const actor of ['wait', 'waitSync']) {
      const worker = startWorker(actor, file);
      await worker.until('waiting');
      if (guard.held) guard.release();
      await worker.until('granted');
      await worker.terminate();
    }
    (await new FileLock(file).acquire()).release();
  },

  'a process can exit while it waits': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    const child = startProcess('exitWhileWaiting', file);
    assert.deepStrictEqual(await child.ended, { code: 7, signal: null });
    assert.deepStrictEqual(child.words(), ['']);
    const killed = startProcess('wait', file);
    await killed.until('waiting');
    assert.strictEqual((await killed.kill('SIGTERM')).signal, 'SIGTERM');
    guard.release();
  },

  'a pending wait keeps the process alive, a held lock does not': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    const waiting = startProcess('waitUntilTimeout', file);
    assert.deepStrictEqual(await waiting.ended, { code: 0, signal: null });
    assert.deepStrictEqual(waiting.words(), ['ERR_LOCK_TIMEOUT']);
    guard.release();
    const holding = startProcess('exitWhileHolding', file);
    assert.deepStrictEqual(await holding.ended, { code: 0, signal: null });
    new FileLock(file).tryAcquire().release();
  },

  'errors have system error codes': async (folder) => {
    const link = path.join(folder, 'link');
    let hasLinks = true;
    try {
      fs.symlinkSync('nowhere', link);
      hasLinks = fs.lstatSync(link).isSymbolicLink();
    } catch {
      hasLinks = false; // without the privilege, on Windows; Wine makes a file
    }
    assert.throws(() => new FileLock(folder).tryAcquire(), { code: 'EISDIR' });
    if (hasLinks) await assert.rejects(new FileLock(link).acquire(), { code: 'ELOOP', syscall: 'open' });
    await assert.rejects(new FileLock(path.join(folder, 'lock')).acquire({ timeout: -1 }), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
    });
  },
};

function remove(folder) {
  try {
    fs.rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    if (process.platform !== 'win32') throw error; // a file is open in a process that is about to end
  }
}

async function run(name, check) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'native-file-lock-'));
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the check hangs')), CHECK_TIMEOUT);
  });
  try {
    await Promise.race([check(folder), timeout]);
    console.log(`ok ${name}`);
    return true;
  } catch (error) {
    console.log(`FAILED ${name}: ${(error?.stack ?? String(error)).replaceAll('\n', '\n  ')}`);
    return false;
  } finally {
    clearTimeout(timer);
    remove(folder);
  }
}

async function main() {
  const only = process.argv[2];
  let failures = 0;
  for (const [name, check] of Object.entries(CHECKS)) {
    if (only !== undefined && !name.includes(only)) continue;
    if (!(await run(name, check))) failures++;
  }
  process.exit(failures === 0 ? 0 : 1);
}

if (!isMainThread) {
  ACTORS[workerData.actor]((word) => parentPort.postMessage(word), ...workerData.args);
} else if (process.argv[2] in ACTORS) {
  const [actor, ...args] = process.argv.slice(2);
  ACTORS[actor]((word) => fs.writeSync(1, `${word}\n`), ...args.map((each) => JSON.parse(each)));
} else {
  main();
}
