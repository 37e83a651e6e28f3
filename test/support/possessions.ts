import { findOverlap, type Interval } from './intervals.js';

/** A process that takes a lock again and again, and logs it: test/fixtures/contender.cjs. */
interface Contender {
  /** The log. */
  readonly text: string;
  /** Monotonic time just before the kill: at least until then the process held what it held. */
  readonly killedAt: bigint | undefined;
}

/** One possession of the lock. `value` is the counter after its update; undefined if killed while holding the lock. */
export interface Possession<C extends Contender = Contender> {
  contender: C;
  interval: Interval;
  value: bigint | undefined;
}

function possessionsOf<C extends Contender>(contender: C): Possession<C>[] {
  const entries = contender.text.matchAll(/^\+ (\d+)\n(?:- (\d+) (\d+)\n)?/gm);
  return Array.from(entries, ([, entered = '', left, value]) => {
    const from = BigInt(entered);
    const to = left === undefined ? (contender.killedAt ?? from) : BigInt(left);
    // It may have been granted between the reading of the clock and its death.
    const interval: Interval = [from, to < from ? from : to];
    return { contender, interval, value: value === undefined ? undefined : BigInt(value) };
  });
}

/** The possessions of all, by the time of the grant. */
export function historyOf<C extends Contender>(contenders: readonly C[]): Possession<C>[] {
  return contenders.flatMap((each) => possessionsOf(each)).sort((a, b) => (a.interval[0] < b.interval[0] ? -1 : 1));
}

/** How often the next holder was another process. */
export function countHandOffs(history: readonly Possession[]): number {
  return history.filter(({ contender }, index) => index > 0 && contender !== history[index - 1]?.contender).length;
}

/** The first two possessions at the same time. */
export function findTwoHolders(history: readonly Possession[]): [Interval, Interval] | undefined {
  return findOverlap(history.map(({ interval }) => interval));
}

/** Later possessions must see what earlier ones wrote; otherwise an update was lost. */
export function findLostUpdate(history: readonly Possession[]): [Possession, Possession] | undefined {
  let last: Possession | undefined;
  for (const each of history) {
    if (each.value === undefined) continue;
    if (last?.value !== undefined && each.value <= last.value) return [last, each];
    last = each;
  }
  return undefined;
}
