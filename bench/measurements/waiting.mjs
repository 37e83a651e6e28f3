import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { median, quantile, show, showTime } from '../figures.mjs';
import { interleaveAll, medianOf } from '../rounds.mjs';
import { floorSide, ourSide } from '../side.mjs';

/** The number of waits that block on threads. One more thread polls the waits beyond them. */
const THREADS = 256;
const MANY = 9000;

/** The cost of idle waits, each on a different file. */
export async function idleWaits({ scratch, quick }) {
  const [count, milliseconds] = [300, quick ? 1500 : 3000];
  const directory = `${scratch}/idle`;
  mkdirSync(directory);
  const [holder, waiter] = [ourSide(), ourSide()];
  await holder.ask('holdMany', directory, count);
  waiter.send('idleWaits', directory, count, milliseconds);
  const [cpu, threadsBefore, threads] = await waiter.receive();
  // The minimum: the tries themselves.
  const floor = floorSide();
  const tries = await floor.ask('poll', directory, count - THREADS, milliseconds);
  // Far beyond the number of threads: the polling keeps itself under 5 % of a core.
  const many = `${scratch}/idle-many`;
  mkdirSync(many);
  await holder.ask('holdMany', many, MANY);
  const crowd = ourSide();
  crowd.send('idleWaits', many, MANY, milliseconds);
  const [manyCpu, , , manyLoop] = await crowd.receive();
  await Promise.all([holder, waiter, floor, crowd].map((side) => side.end()));
  const percent = (time) => `${show((time / (milliseconds * 1e6)) * 100)} %`;
  const share = cpu / (milliseconds * 1e6);
  return {
    rows: [
      {
        work: `CPU of 300 waits in ${milliseconds / 1000} s`,
        ours: showTime(cpu),
        reference: `one core (the tries in C ${percent(tries)})`,
        figure: share * 100,
        unit: '%',
        bar: ['≤', 1],
        aim: 0.5,
      },
      {
        work: 'threads for 300 waits',
        ours: `${threads}`,
        reference: `${threadsBefore} before`,
        figure: threads - threadsBefore,
        unit: '',
        bar: ['≤', THREADS + 1], // and the one that polls
        aim: THREADS + 1,
      },
      {
        work: `CPU of ${show(MANY)} waits in ${milliseconds / 1000} s`,
        ours: showTime(manyCpu),
        reference: 'one core',
        figure: (manyCpu / (milliseconds * 1e6)) * 100,
        unit: '%',
        bar: ['≤', 10],
        aim: 6,
      },
      {
        work: `the event loop beside ${show(MANY)} waits`,
        ours: percent(manyLoop * milliseconds * 1e6),
        reference: 'its time',
        figure: manyLoop * 100,
        unit: '%',
        bar: ['≤', 2],
        aim: 0.5,
      },
    ],
  };
}

/** How late timeouts are when many expire at once. */
export async function timeouts({ scratch, quick }) {
  const [count, timeout] = [200, 300];
  const directory = `${scratch}/timeouts`;
  mkdirSync(directory);
  const [holder, waiter] = [ourSide(), ourSide()];
  await holder.ask('holdMany', directory, count);
  const late = (command) => async () => {
    waiter.send(command, directory, count, timeout);
    return await waiter.receive();
  };
  const measures = { files: late('timeouts'), oneFile: late('timeoutsOfOne') };
  await interleaveAll(1, measures);
  const results = await interleaveAll(quick ? 2 : 8, measures);
  await Promise.all([holder.end(), waiter.end()]);
  const row = (work, times) => ({
    work,
    ours: `p50 ${showTime(median(times))}, max ${showTime(Math.max(...times))}`,
    reference: 'the timeout',
    figure: quantile(times, 0.99) / 1e6,
    unit: 'ms',
    bar: ['≤', 10],
    aim: 3,
    note: Math.min(...times) < 0 ? 'one was early' : undefined,
  });
  return {
    rows: [
      row('lateness of 200 timeouts at once, p99, 200 files', results.files.flat()),
      row('the same, one file', results.oneFile.flat()),
    ],
  };
}

/** The time from killing the holder to the grant of a waiter in another process. */
export async function takeOvers({ scratch, quick }) {
  const takeOver = (make) => async () => {
    const [holder, waiter] = [make(), make()];
    const path = `${scratch}/take-over.lock`;
    await holder.ask('hold', path);
    await waiter.ask('wait', path);
    await delay(10);
    const killed = Number(process.hrtime.bigint());
    holder.kill();
    const [granted] = await waiter.receive();
    await Promise.all([holder.exited, waiter.end()]);
    return granted - killed;
  };
  const results = await interleaveAll(quick ? 5 : 15, { ours: takeOver(() => ourSide()), floor: takeOver(floorSide) });
  return {
    rows: [
      {
        work: 'take-over after SIGKILL of the holder, p50',
        ours: showTime(medianOf(results.ours)),
        reference: `${showTime(medianOf(results.floor))} C`,
        figure: medianOf(results.ours) / 1e6,
        unit: 'ms',
        note: `mostly the exit of a Node process; worst ${show(Math.max(...results.ours) / 1e6)} ms`,
      },
    ],
  };
}
