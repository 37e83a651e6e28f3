// The laws of locks on NFS, run inside the guest; test/environments/nfs/nfs.test.ts judges what they leave.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { execFileSync } = require('node:child_process');
const { setTimeout: delay } = require('node:timers/promises');
const { startClient } = require('./client.cjs');
const { storm } = require('./storm.cjs');

const D = '/mnt/nfs';
const words = (text = '') => text.split(' ').filter(Boolean);
const SECONDS = Number(process.env.NFS_SECONDS ?? 20);
const isVersion3 = process.env.NFS_VERSION === '3';
const milliseconds = async (work) => {
  const start = performance.now();
  const value = await work();
  return { value, took: Math.round((performance.now() - start) * 10) / 10 };
};
const errorOf = (promise) =>
  promise.then(
    (value) => ({ granted: value }),
    ({ code, syscall }) => ({ code, syscall }),
  );
const partition = (is) => execFileSync('ip', ['link', 'set', 'vb', is ? 'down' : 'up']);

/** Each: a law, and what shows it. Returns figures. */
const scenarios = [
  {
    law: 'three clients exclude each other, by each mechanism',
    async run({ server, a, b }) {
      for (const mechanism of ['flock', 'fcntl']) {
        const file = `${D}/exclusion-${mechanism}`;
        const options = { mechanism };
        for (const [holder, ...others] of [
          [a, b, server],
          [b, a, server],
          [server, a, b],
        ]) {
          assert.equal(await holder.tryAcquire(file, { options }), true);
          for (const other of others) assert.equal(await other.tryAcquire(file, { options }), false);
          for (const other of others) assert.equal(await other.tryAcquire(file, { options, mode: 'shared' }), false);
          await holder.release(file);
        }
        for (const each of [a, b]) assert.equal(await each.tryAcquire(file, { options, mode: 'shared' }), true);
        assert.equal(await server.tryAcquire(file, { options }), false);
        for (const each of [a, b]) await each.release(file);
      }
    },
  },
  ...[0, 1500].map((settle) => ({
    law: `a file that is cleaned up or removed by its holder has one holder, ${settle} ms after it was last looked at`,
    async run({ a, b, a2 }) {
      const jobs = `${D}/removal-${settle}`;
      const kept = `${jobs}/kept/.lock`;
      const keepOpen = { options: { keepOpen: true } };
      assert.equal(await b.tryAcquire(kept, keepOpen), true);
      await b.release(kept);
      await delay(settle);
      assert.equal(await a.clean(jobs), 1);
      assert.equal(await a.tryAcquire(kept), true);
      assert.equal(await b.tryAcquire(kept, keepOpen), false, 'two holders: one by a kept descriptor');
      await a.release(kept);

      const awaited = `${D}/awaited-${settle}`;
      await a.acquire(awaited);
      const wait = errorOf(b.acquire(awaited, { timeout: 5000 }));
      await delay(300 + settle);
      await a.run((require, _, file) => require('node:fs').unlinkSync(file), awaited);
      assert.equal(await a2.tryAcquire(awaited), true);
      await a.release(awaited);
      assert.deepEqual(await wait, { code: 'ERR_LOCK_TIMEOUT', syscall: undefined }, 'two holders: one had waited');
      await a2.release(awaited);

      const fresh = `${jobs}/fresh/.lock`;
      assert.equal(await b.tryAcquire(fresh), true);
      await b.release(fresh);
      await delay(settle);
      await a.clean(jobs);
      assert.equal(await a.tryAcquire(fresh), true);
      assert.equal(await b.tryAcquire(fresh, { guard: 'again' }), false, 'two holders: one by a cached name');
      assert.equal(await b.clean(jobs), 0, 'a held file was removed');
      assert.equal(await b.tryAcquire(fresh, { guard: 'again' }), false, 'two holders after the clean-up of another');
      await a.release(fresh);
    },
  })),
  {
    law: 'a storm of acquisitions, removals and clean-ups never has two holders, and none sees ESTALE',
    async run({ server, a, b }) {
      const found = await storm([server, a, b], { directory: D, seconds: SECONDS });
      assert.equal(found.overlaps + found.lostUpdates, 0, JSON.stringify(found));
      assert.deepEqual(found.errors, {});
      assert.ok(found.acquisitions > SECONDS && found.removals > 0 && found.cleaned > 0, JSON.stringify(found));
      return found;
    },
  },
  {
    law: 'the storm would find two holders: holds without a lock are caught twice',
    async run({ server, a, b }) {
      const found = await storm([server, a, b], { directory: D, seconds: 5, unlocked: 10 });
      assert.ok(found.overlaps > 0 && found.lostUpdates > 0, JSON.stringify(found));
      return found;
    },
  },
  {
    law: 'the record of a holder is seen by another machine at once',
    async run({ a, b }) {
      const file = `${D}/recorded`;
      await a.acquire(file, { options: { recordHolder: true } });
      const { state, holder } = await b.inspect(file);
      assert.deepEqual([state, holder?.pid], ['unknown', a.pid]);
      const timeout = await b.acquire(file, { timeout: 300 }).catch((error) => error);
      assert.deepEqual([timeout.code, timeout.holder?.pid], ['ERR_LOCK_TIMEOUT', a.pid]);
      await a.release(file);
    },
  },
  {
    law: 'a wait times out on time, can be aborted, and is granted after a release and after a kill',
    async run({ a, a2, b }) {
      const file = `${D}/waits`;
      const figures = {};
      for (const [name, waiter] of Object.entries({ 'same client': a2, 'other client': b })) {
        await a.acquire(file);
        const late = [];
        for (const timeout of [50, 300, 1000]) {
          const { value, took } = await milliseconds(() => errorOf(waiter.acquire(file, { timeout })));
          assert.equal(value.code, 'ERR_LOCK_TIMEOUT');
          assert.ok(took >= timeout);
          late.push(Math.round(took - timeout));
        }
        const wait = waiter.acquire(file, { abort: 'abort', timeout: 60_000 }).catch(({ message }) => message);
        await delay(200);
        await waiter.call('abort', { abort: 'abort', reason: 'aborted' });
        assert.equal(await wait, 'aborted');
        const handOff = [];
        for (let round = 0; round < 5; round++) {
          const next = waiter.acquire(file, { timeout: 60_000 });
          await delay(200);
          const released = await a.release(file);
          handOff.push(Math.round(Number((await next) - released) / 1e5) / 10);
          await waiter.release(file);
          await a.acquire(file);
        }
        await a.release(file);
        figures[name] = { late, handOff };
      }
      const victim = await startClient(words(process.env.CLIENT_A));
      await victim.acquire(file);
      const { value, took } = await milliseconds(async () => {
        const next = errorOf(b.acquire(file, { timeout: 60_000 }));
        victim.kill();
        return next;
      });
      assert.equal(typeof value.granted, 'bigint');
      await b.release(file);
      return { ...figures, afterKill: took };
    },
  },
  {
    law: "with root_squash, another user's readable file is EACCES of open",
    async run({ a }) {
      const file = '/mnt/squashed/readable';
      fs.writeFileSync('/mnt/export/squashed/readable', '', { mode: 0o644 });
      const failed = { code: 'EACCES', syscall: 'open' };
      assert.deepEqual(await errorOf(a.tryAcquire(file)), isVersion3 ? { granted: true } : failed);
      assert.deepEqual(await errorOf(a.tryAcquire(file, { options: { mechanism: 'fcntl' } })), failed);
      assert.equal(await a.tryAcquire(`/mnt/squashed/new-${process.pid}`, { options: { recordHolder: true } }), true);
    },
  },
  {
    law: 'while the server is away acquire blocks no event loop, times out on time and can be aborted; a wait ends with its process',
    async run({ server }) {
      const file = `${D}/away`;
      assert.equal(await server.tryAcquire(file), true);
      const b = await startClient(words(process.env.CLIENT_B));
      const waiter = await startClient(words(process.env.CLIENT_B));
      const inWorker = await startClient(words(process.env.CLIENT_B));
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
        }, D);
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
      const next = await startClient(words(process.env.CLIENT_B));
      assert.equal(typeof (await errorOf(next.acquire(file, { timeout: 60_000 }))).granted, 'bigint');
      next.kill();
      return figures;
    },
  },
  {
    law: 'a holder that was cut off for longer than the lease loses the lock, and is told; tokens grow',
    skip: isVersion3 ? 'version 3 has no leases' : undefined,
    async run({ server }) {
      const file = `${D}/lease`;
      const options = { recordHolder: true };
      const b = await startClient(words(process.env.CLIENT_B));
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
      const file = `${D}/restart`;
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

async function main() {
  const out = fs.openSync(`${process.env.GUEST_OUT}/results.jsonl`, 'a');
  const only = process.env.NFS_ONLY;
  const server = await startClient();
  const a = await startClient(words(process.env.CLIENT_A));
  const a2 = await startClient(words(process.env.CLIENT_A));
  const b = await startClient(words(process.env.CLIENT_B));
  for (const { law, run, skip } of scenarios) {
    if (only !== undefined && !law.includes(only)) continue;
    let result = { law, skip };
    if (skip === undefined) {
      const limit = delay((SECONDS + 100) * 1000, undefined, { ref: false }).then(() => {
        throw new Error('it did not end');
      });
      const { value, took } = await milliseconds(() =>
        Promise.race([run({ server, a, a2, b }), limit]).then(
          (figures) => ({ law, ok: true, figures }),
          (error) => ({ law, ok: false, error: error.stack }),
        ),
      );
      result = { ...value, seconds: Math.round(took / 1000) };
    }
    fs.writeSync(out, `${JSON.stringify(result)}\n`);
  }
  for (const each of [server, a, a2, b]) each.kill();
}

module.exports = { scenarios };
if (require.main === module) {
  main().then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}
