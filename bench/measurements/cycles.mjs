import { show, showTime } from '../figures.mjs';
import { interleave, medianOf } from '../rounds.mjs';
import { bareSide, floorSide, ourSide, peerSide } from '../side.mjs';

/** Cycles that take about 20 ms. */
const TURNS = {
  'fs-ext': 200,
  'fs-native-extensions': 100,
  'os-lock': 200,
  lockfile: 100,
  'proper-lockfile': 20,
  python: 5000,
};

/** Uncontended acquire and release. */
export async function cycles({ scratch, quick, peers, hasBare }) {
  const floor = floorSide();
  const bare = hasBare ? bareSide() : null;
  const ours = ourSide();
  const others = peers.map(peerSide);
  const perCycle = (side, command, count) => async () =>
    (await side.ask(command, `${scratch}/${command}-${side.name}.lock`, count)) / count;

  const measures = {
    warmFloor: perCycle(floor, 'warm', 20_000),
    ...(bare && { warmBare: perCycle(bare, 'warm', 20_000) }),
    warm: perCycle(ours, 'warm', 20_000),
    warmAsync: perCycle(ours, 'warmAsync', 10_000),
    coldFloor: perCycle(floor, 'cold', 5000),
    cold: perCycle(ours, 'cold', 5000),
    recordedFloor: perCycle(floor, 'recorded', 2000),
    recorded: perCycle(ours, 'recorded', 2000),
  };
  const peerMeasures = Object.fromEntries(others.map((side) => [side.name, perCycle(side, 'cycle', TURNS[side.name])]));
  await interleave(4, measures); // warms up the JIT and the caches
  await interleave(3, peerMeasures);
  const results = await interleave(quick ? 5 : 25, { ...measures, ...peerMeasures });
  await Promise.all([floor, ...(bare ? [bare] : []), ours, ...others].map((side) => side.end()));

  const time = Object.fromEntries(Object.entries(results).map(([name, each]) => [name, medianOf(each)]));
  const against = (work, side, reference, referenceName, bar, aim) => ({
    work,
    ours: showTime(time[side]),
    reference: `${showTime(time[reference])} ${referenceName}`,
    figure: time[side] / time[reference],
    unit: '×',
    bar: ['≤', bar],
    aim,
  });
  const rows = [
    {
      ...against('warm cycle, tryAcquire', 'warm', 'warmFloor', 'C', 1.25, 1.15),
      ...(bare && { note: `a bare addon: ${show(time.warmBare / time.warmFloor)} ×` }),
    },
    against('cold cycle, tryAcquire', 'cold', 'coldFloor', 'C', 1.35, 1.2),
    against('warm cycle, await acquire', 'warmAsync', 'warmFloor', 'C', 1.8, 1.4),
    {
      ...against('cold cycle with recordHolder', 'recorded', 'cold', 'without', 2, 1.7),
      note: `the same calls in C: ${show(time.recordedFloor / time.coldFloor)} ×`,
    },
  ];
  const bars = {
    'fs-ext': [10, 25],
    'fs-native-extensions': [10, 25],
    'os-lock': [10, 25],
    'proper-lockfile': [200, 400],
  };
  for (const { name } of others) {
    const failed = results[name] instanceof Error;
    const [bar, aim] = bars[name] ?? [];
    rows.push({
      work: `cycle of ${name} / ours`,
      ours: showTime(time.warmAsync),
      reference: failed ? results[name].message : showTime(time[name]),
      figure: time[name] / time.warmAsync,
      unit: '×',
      ...(bar === undefined ? {} : { bar: ['≥', bar], aim }),
    });
  }
  const chart = {
    title: 'Uncontended acquire and release (async; shorter is better)',
    unit: 'µs',
    bars: [
      { name: 'C: flock, stat, flock', value: time.warmFloor / 1e3, kind: 'floor' },
      { name: 'native-file-lock', value: time.warmAsync / 1e3, kind: 'ours' },
      ...others.map(({ name }) => ({ name, value: time[name] / 1e3, kind: 'peer' })),
    ],
    format: show,
  };
  return { rows, charts: [chart] };
}
