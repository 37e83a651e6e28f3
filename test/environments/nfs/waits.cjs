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
