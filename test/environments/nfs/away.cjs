// The server is away, or the client is cut off from it.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { setTimeout: delay } = require('node:timers/promises');
const { errorOf, milliseconds } = require('../guest/in-guest.cjs');
const { DIRECTORY, isVersion3, partition, startOnB } = require('./machines.cjs');

module.exports = [
  {
    law: 'while the server is away acquire blocks no event loop, times out on time and can be aborted; a wait ends with its process',
    async run({ server }) {
      const file = `${DIRECTORY}/away`;
      assert.equal(await server.tryAcquire(file), true);
      const b = await startOnB();
      const waiter = await startOnB();
      const inWorker = await startOnB();
      for (const each of [b, waiter]) each.acquire(file, { abort: 'abort', timeout: 60_000 }).catch(() => {});
      await inWorker.run((require, _, file) => {
        const { Worker } = require('node:worker_threads');
        const source = `
          new (require(${JSON.stringify(require.resolve('../..'))}).FileLock)(${JSON.stringify(file)}).acquire().catch(() => {});
          require('node:worker_threads').parentPort.postMessage('');
        `;
        globalThis.worker = new Worker(source, { eval: true });
        return new Promise((resolve) => globalThis.worker.once('message', resolve));
      }, file);
      await delay(1000);
      const figures = {};
      partition(true);
      try {
        await delay(1000);
        const fresh = await b.run(async (require, _, directory) => {
          const { FileLock } = require('../..');
          let longest = 0;
          let last = performance.now();
          const timer = setInterval(() => {
            longest = Math.max(longest, performance.now() - last);
            last = performance.now();
          }, 5);
          const start = performance.now();
          const code = await new FileLock(`${directory}/fresh`, { recordHolder: true })
            .acquire({ timeout: 500 })
            .catch((error) => error.code);
          clearInterval(timer);
          return { code, took: performance.now() - start, longest };
        }, DIRECTORY);
        assert.equal(fresh.code, 'ERR_LOCK_TIMEOUT');
        assert.ok(fresh.took >= 500 && fresh.longest < 1000, JSON.stringify(fresh));
        figures.late = Math.round(fresh.took - 500);
        figures.longestStall = Math.round(fresh.longest);
        const abort = await milliseconds(() => b.call('abort', { abort: 'abort', reason: 'aborted' }));
        figures.abort = abort.took;
        const within = (promise) => Promise.race([promise, delay(4000, 'not within 4 s')]);
        const exit = await milliseconds(() => {
          waiter.call('exit');
          return within(waiter.ended);
        });
        figures.exitWithWaiter = exit.value === 0 ? exit.took : exit.value;
        const terminate = await milliseconds(() => within(inWorker.run(() => globalThis.worker.terminate())));
        figures.terminate = terminate.value === 1 ? terminate.took : terminate.value;
      } finally {
        partition(false);
      }
      for (const each of [b, waiter, inWorker]) each.kill();
      await Promise.all([b, waiter, inWorker].map((each) => each.ended));
      await server.release(file);
      const next = await startOnB();
      assert.equal(typeof (await errorOf(next.acquire(file, { timeout: 60_000 }))).granted, 'bigint');
      next.kill();
      return figures;
    },
  },
  {
    // The kernel unlocks at the server before a process is gone, even one that was killed.
    law: 'what a holder that was cut off has released, or held at its end, is free once it is connected again',
    async run({ server }) {
      const ends = {
        release: (holder, file) => holder.release(file),
        exit: (holder) => {
          holder.call('exit');
          return holder.ended;
        },
        kill: (holder) => {
          holder.kill();
          return holder.ended;
        },
      };
      const holders = {};
      for (const name of Object.keys(ends)) {
        holders[name] = await startOnB();
        assert.equal(await holders[name].tryAcquire(`${DIRECTORY}/cut-off-${name}`), true);
      }
      const figures = {};
      partition(true);
      try {
        await delay(1000);
        const within = (promise) => Promise.race([promise.then(() => 'done'), delay(4000, 'not within 4 s')]);
        for (const [name, end] of Object.entries(ends)) {
          const { value, took } = await milliseconds(() => within(end(holders[name], `${DIRECTORY}/cut-off-${name}`)));
          figures[name] = value === 'done' ? took : value;
        }
      } finally {
        partition(false);
      }
      for (const name of Object.keys(ends)) {
        const file = `${DIRECTORY}/cut-off-${name}`;
        const { value, took } = await milliseconds(() => errorOf(server.acquire(file, { timeout: 60_000 })));
        figures[`free after ${name}`] = value.code ?? took;
        if (value.code === undefined) await server.release(file);
        holders[name].kill();
      }
      for (const name of Object.keys(ends))
        assert.equal(typeof figures[`free after ${name}`], 'number', JSON.stringify(figures));
      return figures;
    },
  },
  {
    law: 'a holder that was cut off for longer than the lease loses the lock, and is told; tokens grow',
    skip: isVersion3 ? 'version 3 has no leases' : undefined,
    async run({ server }) {
      const file = `${DIRECTORY}/lease`;
      const options = { recordHolder: true };
      const b = await startOnB();
      assert.equal(await b.tryAcquire(file, { options }), true);
      const token = (await b.call('describe', { guard: file })).fencingToken;
      await b.run((_, guards, file) => void guards.get(file).lost, file);
      partition(true);
      let granted;
      try {
        granted = await milliseconds(() => errorOf(server.acquire(file, { options, timeout: 60_000 })));
      } finally {
        partition(false);
      }
      assert.equal(typeof granted.value.granted, 'bigint');
      const next = await server.call('describe', { guard: file });
      assert.ok(next.fencingToken > token);
      assert.equal(next.previousHolder?.pid, b.pid);
      const lost = await b.run(async (_, guards, file) => {
        const guard = guards.get(file);
        if (!guard.lost.aborted) {
          await new Promise((resolve) => guard.lost.addEventListener('abort', resolve, { once: true }));
        }
        let verified;
        try {
          guard.verify();
        } catch (error) {
          verified = error.code;
        }
        return [guard.lost.reason.code, verified, guard.held];
      }, file);
      assert.deepEqual(lost, ['ERR_LOCK_LOST', 'ERR_LOCK_LOST', true]);
      await server.release(file);
      b.kill();
      return { grantedAfter: granted.took };
    },
  },
  {
    law: 'a wait survives a restart of the server',
    async run({ a, server }) {
      const file = `${DIRECTORY}/restart`;
      assert.equal(await server.tryAcquire(file), true);
      const wait = errorOf(a.acquire(file, { timeout: 90_000 }));
      await delay(500);
      execFileSync('rpc.nfsd', ['0']);
      await delay(1000);
      execFileSync('rpc.nfsd', ['4']);
      await delay(1000);
      const { took } = await milliseconds(async () => {
        await server.release(file);
        assert.equal(typeof (await wait).granted, 'bigint');
      });
      return { grantedAfter: took };
    },
  },
];
