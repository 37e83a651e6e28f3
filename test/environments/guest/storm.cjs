// Exclusion among the machines, with removals: each takes, holds, removes and cleans up at random. Two holders are
// found twice: by intervals of the one clock of the guest's kernel, and by lost updates of a counter.
const fs = require('node:fs');

/** Runs in each process. */
async function contend(require, _, { seed, seconds, jobs, counters, unlocked, removals }) {
  const fs = require('node:fs');
  const path = require('node:path');
  const { FileLock, JobLockManager, LockTimeoutError } = require('../..');
  let state = seed;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const MECHANISMS = { one: 'flock', two: 'fcntl' };
  const manager = new JobLockManager(jobs);
  const targets = ['one', 'two'].flatMap((job) =>
    [false, true].flatMap((keepOpen) =>
      [false, true].map((recordHolder) => ({
        job,
        lock: new FileLock(path.join(jobs, job, '.lock'), { keepOpen, recordHolder, mechanism: MECHANISMS[job] }),
        counter: fs.openSync(path.join(counters, job), 'r+'),
      })),
    ),
  );
  const intervals = [];
  const tally = { acquisitions: 0, removals: 0, cleaned: 0, timeouts: 0, errors: {} };
  const note = (error) => {
    if (error instanceof LockTimeoutError) tally.timeouts++;
    else tally.errors[`${error.code} ${error.syscall}`] = (tally.errors[`${error.code} ${error.syscall}`] ?? 0) + 1;
  };
  const read = (file) => Number(fs.readFileSync(`/proc/self/fd/${file}`, 'latin1') || 0);
  const hold = async ({ job, lock, counter }, guard) => {
    tally.acquisitions++;
    const from = process.hrtime.bigint();
    const before = read(counter);
    if (guard?.mode === 'shared') {
      await new Promise((resolve) => setTimeout(resolve, random(4)));
      intervals.push([job, from, process.hrtime.bigint(), null]);
      guard.release();
      return;
    }
    if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, random(4)));
    fs.writeSync(counter, String(before + 1).padStart(12), 0);
    const until = process.hrtime.bigint();
    intervals.push([job, from, until, before + 1]);
    // By its holder, who has done its work.
    if (guard && removals && random(5) === 0) {
      fs.unlinkSync(lock.path);
      tally.removals++;
    }
    guard?.release();
  };
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const target = targets[random(targets.length)];
    const mode = random(6) === 0 ? 'shared' : 'exclusive';
    try {
      if (unlocked > 0 && random(unlocked) === 0) {
        await hold(target, null);
      } else if (removals && random(12) === 0) {
        tally.cleaned += (await manager.cleanupStaleLocks({ maxAge: 0 })).length;
      } else if (random(3) === 0) {
        const guard = target.lock.tryAcquire({ mode });
        if (guard) await hold(target, guard);
        else await new Promise(setImmediate);
      } else {
        await hold(target, await target.lock.acquire({ mode, timeout: 1 + random(2000) }));
      }
    } catch (error) {
      note(error);
    }
  }
  return { intervals, tally };
}

/** Counts intervals that must not overlap and do, and values that were written twice; of one job. Readers have none. */
function violations(intervals) {
  const sorted = [...intervals].sort(([, a], [, b]) => (a < b ? -1 : 1));
  const latest = { reader: 0n, writer: 0n };
  const values = [];
  let overlaps = 0;
  for (const [, from, until, value] of sorted) {
    const kind = value === null ? 'reader' : 'writer';
    if (from < latest.writer || (kind === 'writer' && from < latest.reader)) overlaps++;
    if (until > latest[kind]) latest[kind] = until;
    if (value !== null) values.push(value);
  }
  return { overlaps, lostUpdates: values.length - new Set(values).size };
}

/** Each client has the exported directory as `directory`. `unlocked`: one in so many holds takes no lock. */
async function storm(clients, { seconds, unlocked = 0, removals = true }) {
  const kind = `${unlocked}-${removals}`;
  const name = `jobs-${kind}`;
  const counters = `/mnt/export/counters-${kind}`;
  fs.mkdirSync(counters);
  for (const job of ['one', 'two']) {
    fs.mkdirSync(`${clients[0].directory}/${name}/${job}`, { recursive: true });
    fs.writeFileSync(`${counters}/${job}`, '');
  }
  const results = await Promise.all(
    clients.map(({ client, directory }, index) =>
      client.run(contend, {
        seed: index + 1,
        seconds,
        jobs: `${directory}/${name}`,
        counters,
        unlocked,
        removals,
      }),
    ),
  );
  const total = { acquisitions: 0, removals: 0, cleaned: 0, timeouts: 0, overlaps: 0, lostUpdates: 0, errors: {} };
  for (const { tally } of results) {
    for (const counted of ['acquisitions', 'removals', 'cleaned', 'timeouts']) total[counted] += tally[counted];
    for (const [error, count] of Object.entries(tally.errors)) total.errors[error] = (total.errors[error] ?? 0) + count;
  }
  for (const job of ['one', 'two']) {
    const found = violations(results.flatMap(({ intervals }) => intervals.filter(([of]) => of === job)));
    total.overlaps += found.overlaps;
    total.lostUpdates += found.lostUpdates;
  }
  return total;
}

module.exports = { storm };
