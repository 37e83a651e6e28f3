// Waits and their ends, records and permissions while the server answers.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { setTimeout: delay } = require('node:timers/promises');
const { errorOf, milliseconds } = require('../guest/in-guest.cjs');
const { DIRECTORY, isVersion3, startOnA } = require('./machines.cjs');

module.exports = [
  {
    law: 'the record of a holder is seen by another machine at once',
    async run({ a, b }) {
      const file = `${DIRECTORY}/recorded`;
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
      const file = `${DIRECTORY}/waits`;
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
      const victim = await startOnA();
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
    law: 'acquireSync times out on time, and a worker that waits in it is terminated',
    async run({ a, b }) {
      const file = `${DIRECTORY}/sync`;
      await a.acquire(file);
      const { value, took } = await milliseconds(async () => {
        await b.call('open', { lock: file, path: file });
        return errorOf(b.call('acquireSync', { lock: file, options: { timeout: 300 } }));
      });
      assert.equal(value.code, 'ERR_LOCK_TIMEOUT');
      const terminated = await b.run(async (require, _, file) => {
        const { Worker } = require('node:worker_threads');
        const source = `
          const { parentPort } = require('node:worker_threads');
          const { FileLock } = require(${JSON.stringify(require.resolve('../..'))});
          parentPort.postMessage('');
          new FileLock(${JSON.stringify(file)}).acquireSync({ timeout: 60_000 });
        `;
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve) => worker.once('message', resolve));
        await new Promise((resolve) => setTimeout(resolve, 500));
        const start = performance.now();
        await worker.terminate();
        return performance.now() - start;
      }, file);
      await a.release(file);
      const figures = { late: Math.round(took - 300), terminated: Math.round(terminated) };
      assert.ok(figures.late >= 0 && Math.max(figures.late, figures.terminated) < 5000, JSON.stringify(figures));
      return figures;
    },
  },
  {
    law: 'an acquisition and its release cost a few calls of the server',
    async run({ b }) {
      const figures = {};
      for (const [name, options, most] of [
        ['plain', {}, 14],
        ['keepOpen', { keepOpen: true }, 9],
        ['recordHolder', { recordHolder: true }, 22],
        ['both', { keepOpen: true, recordHolder: true }, 16],
      ]) {
        const cycles = 50;
        const { calls, milliseconds: took } = await b.run(
          (require, _, { path, options, cycles }) => {
            const { FileLock } = require('../..');
            const { readFileSync } = require('node:fs');
            const countCalls = () => Number(/^rpc (\d+)/m.exec(readFileSync('/proc/net/rpc/nfs', 'latin1'))[1]);
            const lock = new FileLock(path, options);
            lock.acquireSync().release();
            const [before, start] = [countCalls(), performance.now()];
            for (let cycle = 0; cycle < cycles; cycle++) lock.acquireSync().release();
            const found = { calls: countCalls() - before, milliseconds: performance.now() - start };
            lock.close();
            return found;
          },
          { path: `${DIRECTORY}/cost-${name}`, options, cycles },
        );
        figures[name] = { calls: calls / cycles, milliseconds: Math.round((took / cycles) * 10) / 10 };
        assert.ok(calls > 0 && calls / cycles <= most, `${name}: ${JSON.stringify(figures)}`);
      }
      return figures;
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
];
