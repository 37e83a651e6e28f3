import { setTimeout as delay } from 'node:timers/promises';
import { jainIndex, quantile, show, showTime } from '../figures.mjs';
import { interleave, interleaveAll, medianOf } from '../rounds.mjs';
import { floorSide, ourSide, peerSide } from '../side.mjs';

const PROCESSES = 4;
const clock = () => Number(process.hrtime.bigint());

/** Four processes that lock and unlock the same file in a loop. */
export async function loops({ scratch, quick, peers }) {
  const seconds = quick ? 0.3 : 3;
  const all = [];
  const four = (make) => {
    const sides = Array.from({ length: PROCESSES }, make);
    all.push(...sides);
    return sides;
  };
  const measureOf = (name, sides, command, length) => async () => {
    const start = clock() + 50e6;
    const grants = await Promise.all(
      sides.map((side) => side.ask(command, `${scratch}/loop-${name}.lock`, start, start + length * 1e9)),
    );
    return { perSecond: grants.reduce((a, b) => a + b, 0) / length, jain: jainIndex(grants) };
  };
  const ours = four(() => ourSide());
  const measures = (length) => ({
    floor: measureOf('floor', floors, 'loop', length),
    sync: measureOf('sync', ours, 'loop', length),
    async: measureOf('async', ours, 'loopAsync', length),
  });
  const floors = four(floorSide);
  await interleave(1, measures(0.3));
  const results = await interleave(quick ? 2 : 5, measures(seconds));
  await Promise.all(all.splice(0).map((side) => side.end()));
  for (const name of peers) {
    const sides = four(() => peerSide(name));
    await interleave(1, { [name]: measureOf(name, sides, 'loop', 0.05) }); // warm-up, so that all have started
    Object.assign(results, await interleave(1, { [name]: measureOf(name, sides, 'loop', Math.min(seconds, 1)) }));
    await Promise.all(all.splice(0).map((side) => side.end()));
  }

  const of = (name, field) =>
    results[name] instanceof Error ? Number.NaN : medianOf(results[name].map((each) => each[field]));
  const rate = (name) => of(name, 'perSecond');
  const against = (work, name, bar, aim) => ({
    work,
    ours: `${show(rate(name))}/s`,
    reference: `${show(rate('floor'))}/s C`,
    figure: rate(name) / rate('floor'),
    unit: '×',
    bar: ['≥', bar],
    aim,
  });
  const fairness = (work, name) => ({
    work,
    ours: show(of(name, 'jain')),
    reference: `${show(of('floor', 'jain'))} C`,
    figure: of(name, 'jain'),
    unit: '',
    bar: ['≥', 0.9],
    aim: 0.95,
  });
  const rows = [
    against('4 processes looping on acquireSync', 'sync', 0.8, 0.9),
    fairness('the same, Jain index', 'sync'),
    against('4 processes looping on acquire', 'async', 0.5, 0.7),
    fairness('the same, Jain index', 'async'),
    ...peers.map((name) => ({
      work: `ours (acquire) / 4 processes of ${name}`,
      ours: `${show(rate('async'))}/s`,
      reference:
        results[name] instanceof Error
          ? results[name].message
          : `${show(rate(name))}/s, Jain ${show(of(name, 'jain'))}`,
      figure: rate('async') / rate(name),
      unit: '×',
    })),
  ];
  const chart = {
    title: '4 processes in a loop, grants per second (longer is better)',
    unit: '/s',
    bars: [
      { name: 'C: flock, stat, flock', value: rate('floor'), kind: 'floor' },
      { name: 'native-file-lock, acquireSync', value: rate('sync'), kind: 'ours' },
      { name: 'native-file-lock, acquire', value: rate('async'), kind: 'ours' },
      ...peers.map((name) => ({ name, value: rate(name), kind: 'peer' })),
    ],
    format: show,
  };
  return { rows, charts: [chart] };
}

/** Many tasks in one process that contend for one lock. */
export async function tasks({ scratch, quick, hasAsyncMutex }) {
  const [count, turns] = [200, 50];
  const sides = [ourSide(), ...(hasAsyncMutex ? [peerSide('async-mutex')] : [])];
  const measures = Object.fromEntries(
    sides.map((side) => [
      side.name,
      async () => (await side.ask('tasks', `${scratch}/tasks.lock`, count, turns)) / (count * turns),
    ]),
  );
  await interleave(5, measures);
  const results = await interleave(quick ? 7 : 25, measures);
  await Promise.all(sides.map((side) => side.end()));
  const ours = medianOf(results.ours);
  const mutex = hasAsyncMutex ? medianOf(results['async-mutex']) : Number.NaN;
  const row = {
    work: '200 tasks in one process, per grant',
    ours: showTime(ours),
    reference: hasAsyncMutex ? `${showTime(mutex)} async-mutex, in memory` : 'async-mutex is not installed',
    figure: ours / mutex,
    unit: '×',
    bar: ['≤', 2],
    aim: 1,
  };
  return { rows: [row] };
}

/** How long a process waits for a lock that another one releases and reacquires in a loop. */
export async function hotLoop({ scratch, quick }) {
  const [rounds, waits] = quick ? [1, 50] : [3, 150];
  const waiter = ourSide();
  await waiter.ask('waits', `${scratch}/alone.lock`, 20);
  const against = (make, command) => async () => {
    const path = `${scratch}/hot-loop-${command}.lock`;
    const looping = make();
    await looping.ask('hold', path);
    await looping.ask('release');
    const start = clock();
    looping.send(command, path, start, start + 60e9); // effectively forever: it is killed
    try {
      await delay(100);
      waiter.send('waits', path, waits);
      return await waiter.receive();
    } finally {
      looping.kill();
      await looping.exited;
    }
  };
  const results = await interleaveAll(rounds, {
    sync: against(() => ourSide(), 'loop'),
    async: against(() => ourSide(), 'loopAsync'),
    floor: against(floorSide, 'loop'),
  });
  await waiter.end();
  const p99 = (name) => quantile(results[name].flat(), 0.99);
  const p50 = (name) => quantile(results[name].flat(), 0.5);
  const row = (work, name) => ({
    work,
    ours: `p50 ${showTime(p50(name))}, p99 ${showTime(p99(name))}`,
    reference: `p50 ${showTime(p50('floor'))}, p99 ${showTime(p99('floor'))} against a loop in C`,
    figure: p99(name) / 1e6,
    unit: 'ms',
    bar: ['≤', 20],
    aim: 5,
  });
  return {
    rows: [row('wait against a loop on acquireSync, p99', 'sync'), row('wait against a loop on acquire, p99', 'async')],
  };
}
