import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { FileLockOptions } from '../../../lib/index.js';
import { countHandOffs, findLostUpdate, findTwoHolders, historyOf } from '../../support/possessions.js';
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
    if (kills === KILLS && countHandOffs(historyOf(all)) >= HAND_OFFS) break;
    await delay(100);
    expect(all.filter((each) => each.hasFailed)).toEqual([]);
    const kind = kills % KINDS.length;
    if (kills === KILLS || alive[kind]?.hasStarted !== true) continue;
    await alive[kind]?.kill();
    alive[kind] = start(kind);
    kills++;
  }
  await Promise.all(alive.map((each) => each.kill()));
  const possessions = historyOf(all);
  expect(findTwoHolders(possessions)).toBeUndefined();
  expect(findLostUpdate(possessions)).toBeUndefined();
  expect(countHandOffs(possessions)).toBeGreaterThanOrEqual(HAND_OFFS);
}
