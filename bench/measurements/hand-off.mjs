import { quantile, show, showTime } from '../figures.mjs';
import { handOff, interleave, medianOf } from '../rounds.mjs';
import { bareSide, floorSide, ourSide, peerSide } from '../side.mjs';

/** Intervals (ms) of the peers that poll. When the lock is released within the interval decides their time. */
const POLLING = { 'proper-lockfile': 1000, lockfile: 100, python: 100 };

/** The time from a release to the grant of a waiter in another process. */
export async function handOffs({ scratch, quick, peers, hasBare }) {
  const all = [];
  const pair = (make) => {
    const sides = [make(), make()];
    all.push(...sides);
    return sides;
  };
  const measureOf =
    (name, [holder, waiter], options) =>
    () =>
      handOff(holder, waiter, `${scratch}/hand-off-${name}.lock`, options);

  const ours = pair(() => ourSide());
  const bare = hasBare ? pair(bareSide) : null;
  const blocking = peers.filter((name) => POLLING[name] === undefined);
  const measures = {
    floor: measureOf('floor', pair(floorSide)),
    sync: measureOf('sync', ours, { wait: 'waitSync' }),
    async: measureOf('async', ours),
    ...(bare && {
      bareSync: measureOf('bareSync', bare, { wait: 'waitSync' }),
      bareAsync: measureOf('bareAsync', bare),
    }),
    ...Object.fromEntries(
      blocking.map((name) => [
        name,
        measureOf(
          name,
          pair(() => peerSide(name)),
        ),
      ]),
    ),
  };
  await interleave(10, measures);
  const results = await interleave(quick ? 25 : 200, measures);

  // These sleep most of the time, so they can run concurrently.
  const [pairsOfEach, turns] = quick ? [2, 2] : [5, 6];
  await Promise.all(
    peers
      .filter((name) => POLLING[name] !== undefined)
      .map(async (name) => {
        const pairs = Array.from({ length: pairsOfEach }, () => pair(() => peerSide(name)));
        const times = await Promise.all(
          pairs.map(async (sides, index) => {
            const own = [];
            for (let turn = 0; turn < turns; turn++) {
              const held = (POLLING[name] * ((index * turns + turn) * 0.618034)) % POLLING[name];
              own.push(await measureOf(`${name}-${index}`, sides, { held: held + 3 })());
            }
            return own;
          }),
        ).catch((error) => error);
        results[name] = times instanceof Error ? times : times.flat();
      }),
  );
  await Promise.all(all.map((side) => side.end()));

  const time = Object.fromEntries(Object.entries(results).map(([name, each]) => [name, medianOf(each)]));
  const against = (work, side, bareOne, bar, aim) => ({
    work,
    ...(bare && { note: `a bare addon: ${show(time[bareOne] / time.floor)} ×` }),
    ours: `${showTime(time[side])} (p90 ${showTime(quantile(results[side], 0.9))})`,
    reference: `${showTime(time.floor)} (p90 ${showTime(quantile(results.floor, 0.9))}) C`,
    figure: time[side] / time.floor,
    unit: '×',
    bar: ['≤', bar],
    aim,
  });
  const rows = [
    against('hand-off to acquireSync, p50', 'sync', 'bareSync', 3, 2),
    against('hand-off to acquire, p50', 'async', 'bareAsync', 5, 3.5),
  ];
  for (const name of peers) {
    const failed = results[name] instanceof Error;
    rows.push({
      work: `hand-off of ${name} / ours (acquire)`,
      ours: showTime(time.async),
      reference: failed ? results[name].message : showTime(time[name]),
      figure: time[name] / time.async,
      unit: '×',
      ...(name === 'proper-lockfile' ? { bar: ['≥', 1000], aim: 5000 } : {}),
    });
  }
  const chart = {
    title: 'Hand-off to a waiting process, p50 (shorter is better)',
    unit: 'µs',
    bars: [
      { name: 'C, blocked in flock', value: time.floor / 1e3, kind: 'floor' },
      { name: 'native-file-lock, acquireSync', value: time.sync / 1e3, kind: 'ours' },
      { name: 'native-file-lock, acquire', value: time.async / 1e3, kind: 'ours' },
      ...peers.map((name) => ({ name, value: time[name] / 1e3, kind: 'peer' })),
    ],
    format: show,
  };
  return { rows, charts: [chart] };
}
