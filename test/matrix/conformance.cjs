// The contract in short, for every runtime that can load the package: plain JavaScript, and no tool of
// Node.js that another runtime might lack. Prints one line for each law, `ok <law>` or `FAILED <law>:
// <why>`, and ends with 0 or 1.
//
// The package is what `native-file-lock` means from here, or the folder NATIVE_FILE_LOCK_PACKAGE.
// NATIVE_FILE_LOCK_RUNTIME is a JSON array, the command that runs a script in this runtime, for where
// that is not process.execPath alone (an emulator, another loader, `deno run -A`).
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const PACKAGE = process.env.NATIVE_FILE_LOCK_PACKAGE ?? 'native-file-lock';
const RUNTIME = JSON.parse(process.env.NATIVE_FILE_LOCK_RUNTIME ?? JSON.stringify([process.execPath]));
/** A law that has not come to its end by then never will. Not a bound on speed. */
const PATIENCE = 120_000;
const FOR_EVER = { timeout: Number.POSITIVE_INFINITY };

const { FileLock, JobLockManager, jobDirectoryLock, tryLockJobDirectory, LockError, LockTimeoutError } =
  require(PACKAGE);

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
async function until(condition) {
  while (!condition()) await sleep(5);
}
/** How a promise stands now: 'pending', 'fulfilled' or 'rejected'. */
const stateOf = (promise) =>
  Promise.race([
    promise.then(
      () => 'fulfilled',
      () => 'rejected',
    ),
    sleep(30).then(() => 'pending'),
  ]);

// --- Other processes and threads. Each says a word when it has come so far. --------------------------

const ACTORS = {
  hold: (say, file, options) => {
    globalThis.guard = new FileLock(file, options).acquireSync();
    say('held');
    setInterval(() => {}, 1000);
  },
  holdAll: (say, files) => {
    globalThis.guards = files.map((file) => new FileLock(file).acquireSync());
    say('held');
    setInterval(() => {}, 1000);
  },
  holdFor: async (say, file, milliseconds) => {
    const guard = new FileLock(file).acquireSync();
    say('held');
    await sleep(milliseconds);
    guard.release();
    say('released');
  },
  holdJob: async (say, directory, jobId) => {
    globalThis.guard = await new JobLockManager(directory).lockJobDirectory(jobId);
    say('held');
    setInterval(() => {}, 1000);
  },
  exitWhileWaiting: (say, file) => {
    new FileLock(file).acquire(FOR_EVER).then(
      () => say('granted'),
      () => say('rejected'),
    );
    setTimeout(() => process.exit(7), 100);
  },
  waitToTheEnd: (say, file) => {
    // Nothing but the wait keeps this process alive.
    new FileLock(file).acquire({ timeout: 300 }).catch((error) => say(error.code));
  },
  endWhileHolding: (say, file) => {
    globalThis.guard = new FileLock(file).acquireSync();
    say('held');
  },
  wait: (say, file) => {
    new FileLock(file).acquire(FOR_EVER).then(
      () => say('granted'),
      () => say('rejected'),
    );
    say('waiting');
  },
  waitSync: (say, file) => {
    say('waiting');
    new FileLock(file).acquireSync(FOR_EVER);
    say('granted');
  },
};

/** A child process that plays a part. */
function startProcess(actor, ...args) {
  const [command, ...before] = RUNTIME;
  const child = spawn(command, [...before, __filename, actor, ...args.map((each) => JSON.stringify(each))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let heard = '';
  child.stdout.on('data', (text) => {
    heard += text;
  });
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  return {
    pid: child.pid,
    ended,
    heard: () => heard.trim().split('\n'),
    says: (word) => until(() => heard.includes(word)),
    kill: (signal = 'SIGKILL') => {
      child.kill(signal);
      return ended;
    },
  };
}

/** A worker thread that plays a part. */
function startWorker(actor, ...args) {
  const worker = new Worker(__filename, { workerData: { actor, args } });
  const heard = [];
  let failure;
  worker.on('message', (word) => heard.push(word));
  worker.on('error', (error) => {
    failure = error;
  });
  return {
    heard: () => heard,
    says: (word) =>
      until(() => {
        if (failure) throw failure;
        return heard.includes(word);
      }),
    terminate: () => worker.terminate(),
  };
}

// --- The laws. Each gets a folder of its own. --------------------------------------------------------

const LAWS = {
  'a lock is taken and released': async (folder) => {
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

  'shared locks admit each other, and no exclusive one': async (folder) => {
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

  'a wait ends with the grant': async (folder) => {
    const file = path.join(folder, 'lock');
    const child = startProcess('holdFor', file, 300);
    await child.says('held');
    const guard = await new FileLock(file).acquire();
    assert.ok(guard.held);
    guard.release();
    await child.ended;
  },

  'a wait ends by its timeout, not before': async (folder) => {
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

  'a wait in the kernel ends by its timeout, not before': async (folder) => {
    for (const mechanism of ['flock', 'fcntl']) {
      const file = path.join(folder, mechanism);
      const child = startProcess('hold', file, { mechanism });
      await child.says('held');
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

  'a wait ends by its signal, with its reason': async (folder) => {
    const file = path.join(folder, 'lock');
    await assert.rejects(
      new FileLock(file).acquire({ signal: AbortSignal.abort(new Error('before')) }),
      /^Error: before$/,
    );
    assert.ok(!fs.existsSync(file));
    const child = startProcess('hold', file);
    await child.says('held');
    const controller = new AbortController();
    const wait = new FileLock(file).acquire({ signal: controller.signal });
    assert.strictEqual(await stateOf(wait), 'pending');
    controller.abort(new Error('meanwhile'));
    await assert.rejects(wait, /^Error: meanwhile$/);
    await child.kill();
    // The wait that was given up takes nothing.
    new FileLock(file).acquireSync().release();
  },

  'waits are granted first come, first served': async (folder) => {
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

  'acquireSync waits, and refuses to wait for its own thread': async (folder) => {
    const file = path.join(folder, 'lock');
    const lock = new FileLock(file);
    const guard = lock.acquireSync();
    assert.throws(() => lock.acquireSync(), { code: 'EDEADLK' });
    guard.release();
    const child = startProcess('holdFor', file, 300);
    await child.says('held');
    lock.acquireSync().release();
    await child.ended;
  },

  'more waits than there are waiting threads are all granted': async (folder) => {
    const files = Array.from({ length: 80 }, (_, index) => path.join(folder, `lock-${index}`));
    const child = startProcess('holdAll', files);
    await child.says('held');
    const waits = files.map((file) => new FileLock(file).acquire());
    assert.strictEqual(await stateOf(Promise.race(waits)), 'pending');
    await child.kill();
    for (const guard of await Promise.all(waits)) guard.release();
  },

  'a holder that is killed holds nothing': async (folder) => {
    const file = path.join(folder, 'lock');
    const child = startProcess('hold', file);
    await child.says('held');
    const wait = new FileLock(file).acquire(FOR_EVER);
    assert.strictEqual(await stateOf(wait), 'pending');
    assert.strictEqual((await child.kill()).signal, 'SIGKILL');
    (await wait).release();
  },

  'a record tells who holds, and who died holding': async (folder) => {
    const lock = new FileLock(path.join(folder, 'lock'), { recordHolder: true });
    const first = lock.acquireSync();
    assert.strictEqual(typeof first.fencingToken, 'bigint');
    assert.strictEqual(first.previousHolder, null);
    assert.strictEqual(lock.inspect().holder.thisProcess, true);
    first.release();
    const child = startProcess('hold', lock.path, { recordHolder: true });
    await child.says('held');
    const { state, holder } = lock.inspect();
    assert.strictEqual(state, 'held');
    assert.strictEqual(holder.pid, child.pid);
    assert.strictEqual(holder.thisProcess, false);
    await child.kill();
    assert.strictEqual(lock.inspect().state, 'free');
    assert.strictEqual(lock.inspect().abandoned, true);
    const second = await lock.acquire();
    assert.strictEqual(second.previousHolder.pid, child.pid);
    assert.ok(second.fencingToken > first.fencingToken);
    second.release();
    const third = lock.tryAcquire();
    assert.strictEqual(third.previousHolder, null);
    assert.ok(third.fencingToken > second.fencingToken);
    third.release();
  },

  'jobs are locked, told and cleaned up': async (folder) => {
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
    await child.says('held');
    assert.strictEqual(manager.inspectJob('one').holder.pid, child.pid);
    const old = new Date(Date.now() - 7_200_000);
    for (const job of ['one', 'two']) fs.utimesSync(path.join(folder, job, '.lock'), old, old);
    assert.deepStrictEqual(
      (await manager.cleanupStaleLocks()).map(({ jobId }) => jobId),
      ['two'],
    );
    await child.kill();
    const heir = await manager.lockJobDirectory('one');
    assert.strictEqual(heir.previousHolder.pid, child.pid);
    const pending = manager.lockJobDirectory('one');
    await Promise.all([assert.rejects(pending, { code: 'ERR_LOCK_CLOSED' }), manager.close()]);
    assert.ok(!heir.held);
  },

  'the end of a worker thread frees what it holds': async (folder) => {
    const file = path.join(folder, 'lock');
    const worker = startWorker('hold', file);
    await worker.says('held');
    assert.strictEqual(new FileLock(file).tryAcquire(), null);
    const wait = new FileLock(file).acquire(FOR_EVER);
    await worker.terminate();
    (await wait).release();
  },

  'a worker thread can be terminated while it waits': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    for (const actor of ['wait', 'waitSync', 'wait', 'waitSync']) {
      const worker = startWorker(actor, file);
      await worker.says('waiting');
      await sleep(50);
      await worker.terminate();
      assert.deepStrictEqual(worker.heard(), ['waiting']);
    }
    guard.release();
    // None of the waits that are over takes the lock.
    new FileLock(file).acquireSync().release();
  },

  'a worker thread that waits is granted': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    for (const actor of ['wait', 'waitSync']) {
      const worker = startWorker(actor, file);
      await worker.says('waiting');
      if (guard.held) guard.release();
      await worker.says('granted');
      await worker.terminate();
    }
    (await new FileLock(file).acquire()).release();
  },

  'a process exits while it waits': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    const child = startProcess('exitWhileWaiting', file);
    assert.deepStrictEqual(await child.ended, { code: 7, signal: null });
    assert.deepStrictEqual(child.heard(), ['']);
    const killed = startProcess('wait', file);
    await killed.says('waiting');
    assert.strictEqual((await killed.kill('SIGTERM')).signal, 'SIGTERM');
    guard.release();
  },

  'a wait keeps the process alive, a held lock does not': async (folder) => {
    const file = path.join(folder, 'lock');
    const guard = new FileLock(file).tryAcquire();
    const waiting = startProcess('waitToTheEnd', file);
    assert.deepStrictEqual(await waiting.ended, { code: 0, signal: null });
    assert.deepStrictEqual(waiting.heard(), ['ERR_LOCK_TIMEOUT']);
    guard.release();
    const holding = startProcess('endWhileHolding', file);
    assert.deepStrictEqual(await holding.ended, { code: 0, signal: null });
    new FileLock(file).tryAcquire().release();
  },

  'errors have the codes of the system': async (folder) => {
    fs.symlinkSync('nowhere', path.join(folder, 'link'));
    assert.throws(() => new FileLock(folder).tryAcquire(), { code: 'EISDIR' });
    await assert.rejects(new FileLock(path.join(folder, 'link')).acquire(), { code: 'ELOOP', syscall: 'open' });
    await assert.rejects(new FileLock(path.join(folder, 'lock')).acquire({ timeout: -1 }), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
    });
  },
};

async function judge(name, law) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'native-file-lock-'));
  let timer;
  const patience = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('never came to its end')), PATIENCE);
  });
  try {
    await Promise.race([law(folder), patience]);
    console.log(`ok ${name}`);
    return true;
  } catch (error) {
    console.log(`FAILED ${name}: ${(error?.stack ?? String(error)).replaceAll('\n', '\n  ')}`);
    return false;
  } finally {
    clearTimeout(timer);
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const only = process.argv[2];
  let failures = 0;
  for (const [name, law] of Object.entries(LAWS)) {
    if (only !== undefined && !name.includes(only)) continue;
    if (!(await judge(name, law))) failures++;
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
