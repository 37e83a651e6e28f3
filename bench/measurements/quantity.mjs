import { mkdirSync, writeFileSync } from 'node:fs';
import { median, show, showTime } from '../figures.mjs';
import { interleaveAll, medianOf } from '../rounds.mjs';
import { floorSide, ourSide } from '../side.mjs';

/** A large number of locks held by one process. */
export async function manyLocks({ scratch, quick }) {
  const count = 10_000;
  const directory = `${scratch}/many`;
  mkdirSync(directory);
  for (let i = 0; i < count; i++) writeFileSync(`${directory}/${i}.lock`, '');
  const holdAll = (make) => async () => {
    const side = make();
    side.send('many', directory, count);
    const answer = await side.receive();
    await side.end();
    return answer;
  };
  const results = await interleaveAll(quick ? 1 : 5, {
    ours: holdAll(() => ourSide('--expose-gc')),
    floor: holdAll(floorSide),
  });
  const memory = medianOf(results.ours.map(([bytes]) => bytes)) / count;
  // The answers end with the time for each hundred locks. Take their median, because now and then the kernel
  // doubles the descriptor table and everything waits for it; the mean includes that.
  const growthOf = (hundreds) => median(hundreds) / hundreds[0];
  const meanOf = (hundreds) => hundreds.reduce((a, b) => a + b, 0) / count;
  const ours = results.ours.map(([, ...hundreds]) => hundreds);
  return {
    rows: [
      {
        work: '10,000 locks held, memory per lock',
        ours: `${show(memory)} B`,
        reference: '',
        figure: memory / 1024,
        unit: 'KiB',
        bar: ['≤', 2],
        aim: 1,
      },
      {
        work: '10,000 locks held, time per lock / for the first 100',
        ours: `${showTime(median(ours.map(meanOf)))} each; of the last 100: ${showTime(median(ours.map((each) => each.at(-1) / 100)))}`,
        reference: `${showTime(median(results.floor.map(meanOf)))} each, ${show(median(results.floor.map(growthOf)))} × C`,
        figure: median(ours.map(growthOf)),
        unit: '×',
        bar: ['≤', 1.2],
        aim: 1,
      },
    ],
  };
}

/** Clean-up of the lock files of many jobs. */
export async function cleanUp({ scratch, quick }) {
  const count = quick ? 2000 : 20_000;
  const directory = `${scratch}/jobs`;
  mkdirSync(directory);
  const [ours, floor] = [ourSide(), floorSide()];
  const clean = (side) => async () => {
    floor.send('jobs', directory, count);
    await floor.receive(60_000);
    side.send('clean', directory);
    const [removed, duration, gap] = await side.receive(60_000);
    if (removed !== count) throw new Error(`removed ${removed} of ${count}`);
    return { duration, gap };
  };
  const measures = { ours: clean(ours), floor: clean(floor) };
  const results = await interleaveAll(2, measures);
  await Promise.all([ours.end(), floor.end()]);
  const rate = (name) => count / (medianOf(results[name].map(({ duration }) => duration)) / 1e9);
  const gap = Math.max(...results.ours.map((each) => each.gap));
  return {
    rows: [
      {
        work: `clean-up of ${show(count)} jobs, C / ours`,
        ours: `${show(rate('ours'))} files/s`,
        reference: `${show(rate('floor'))} files/s C`,
        figure: rate('floor') / rate('ours'),
        unit: '×',
      },
      {
        work: 'longest event loop stall during clean-up',
        ours: showTime(gap),
        reference: '',
        figure: gap / 1e6,
        unit: 'ms',
      },
    ],
  };
}
