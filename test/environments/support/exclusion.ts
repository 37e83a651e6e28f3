import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { FileLockOptions } from '../../../lib/index.js';
import { findOverlap, type Interval } from '../../support/intervals.js';
import { LoggedProcess } from '../../support/storm.js';

const KINDS = [
  { sync: false, tasks: 2, keepOpen: false },
  { sync: true, tasks: 1, keepOpen: false },
  { sync: false, tasks: 1, keepOpen: true },
];
/** How long a run takes: until there were so many hand-offs between processes, and no longer than a time. */
const HAND_OFFS = 1000;
const LIMIT_MS = 40_000;
const KILLS = 3;

interface Possession {
  process: LoggedProcess;
  interval: Interval;
  /** Of the shared counter, after its update. Undefined: killed before. */
  value: bigint | undefined;
}

function possessionsOf(process: LoggedProcess): Possession[] {
  const entries = process.text.matchAll(/^\+ (\d+)\n(?:- (\d+) (\d+)\n)?/gm);
  return Array.from(entries, ([, entered = '', left, value]) => {
    const from = BigInt(entered);
    const to = left === undefined ? (process.killedAt ?? from) : BigInt(left);
    return { process, interval: [from, to < from ? from : to], value: value === undefined ? value : BigInt(value) };
  });
}

const history = (processes: readonly LoggedProcess[]) =>
  processes.flatMap(possessionsOf).sort((a, b) => (a.interval[0] < b.interval[0] ? -1 : 1));

const countHandOffs = (possessions: readonly Possession[]) =>
  possessions.filter(({ process }, index) => index > 0 && process !== possessions[index - 1]?.process).length;

/** The values that were not greater than the one before them: an update was lost. */
function lostUpdates(possessions: readonly Possession[]): bigint[] {
  const values = possessions.flatMap(({ value }) => (value === undefined ? [] : [value]));
  return values.filter((value, index) => index > 0 && value <= (values[index - 1] as bigint));
}

/**
 * Processes of several kinds take the lock of one file in a directory in turns, update a counter while they hold it,
 * and are killed and replaced. Asserts that no two of them held it at once, by two detectors: the intervals of the
 * monotonic clock, and the counter. `removes`: holders remove the lock file.
 */
export async function expectExclusion(
  directory: string,
  logs: string,
  options: FileLockOptions,
  removes = false,
): Promise<void> {
  const counter = path.join(logs, 'counter');
  writeFileSync(counter, new BigUint64Array(1));
  const all: LoggedProcess[] = [];
  const start = (kind: number) => {
    const { sync, tasks, keepOpen } = KINDS[kind] as (typeof KINDS)[number];
    const argument = {
      path: path.join(directory, 'l'),
      counter,
      sync,
      tasks,
      removes,
      options: { ...options, keepOpen },
    };
    const started = new LoggedProcess('contender.cjs', path.join(logs, `${all.length}.log`), argument);
    all.push(started);
    return started;
  };
  const alive = KINDS.map((_, kind) => start(kind));
  const end = performance.now() + LIMIT_MS;
  for (let kills = 0; performance.now() < end; ) {
    if (kills === KILLS && countHandOffs(history(all)) >= HAND_OFFS) break;
    await delay(100);
    expect(all.filter((each) => each.hasFailed)).toEqual([]);
    const kind = kills % KINDS.length;
    if (kills === KILLS || alive[kind]?.hasStarted !== true) continue;
    await alive[kind]?.kill();
    alive[kind] = start(kind);
    kills++;
  }
  await Promise.all(alive.map((each) => each.kill()));
  const possessions = history(all);
  expect(findOverlap(possessions.map(({ interval }) => interval))).toBeUndefined();
  expect(lostUpdates(possessions)).toEqual([]);
  expect(countHandOffs(possessions)).toBeGreaterThanOrEqual(HAND_OFFS);
}
