/** An interval in which a lock was held, in nanoseconds of the machine-wide monotonic clock. */
export type Interval = readonly [from: bigint, to: bigint];

/** The first two intervals that overlap; undefined if mutual exclusion held. */
export function findOverlap(intervals: readonly Interval[]): [Interval, Interval] | undefined {
  const sorted = [...intervals].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  for (let index = 1; index < sorted.length; index++) {
    const [before, after] = [sorted[index - 1], sorted[index]];
    if (before && after && after[0] < before[1]) return [before, after];
  }
  return undefined;
}
