import { setTimeout as delay } from 'node:timers/promises';
import { median } from './figures.mjs';

/**
 * Runs the measures in turn for a number of rounds, in reversed order in every other round. Returns the
 * results by name. A measure that fails is not run again, and its result is the error.
 */
export async function interleave(rounds, measures) {
  const results = Object.fromEntries(Object.keys(measures).map((name) => [name, []]));
  const order = Object.entries(measures);
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of order) {
      if (results[name] instanceof Error) continue;
      try {
        results[name].push(await measure());
      } catch (error) {
        results[name] = error;
      }
    }
    order.reverse();
  }
  return results;
}

/** As `interleave`, for sides that are all needed: if one fails, the benchmark fails. */
export async function interleaveAll(rounds, measures) {
  const results = await interleave(rounds, measures);
  for (const each of Object.values(results)) if (each instanceof Error) throw each;
  return results;
}

/** The median, or NaN if the side failed. */
export const medianOf = (results) => (results instanceof Error ? Number.NaN : median(results));

/** One hand-off: the time (ns) from just before the holder's release to just after the waiter's grant. */
export async function handOff(holder, waiter, path, { wait = 'wait', held = 3, limit = 20_000 } = {}) {
  await holder.ask('hold', path);
  await waiter.ask(wait, path);
  await delay(held);
  const released = await holder.ask('release', path);
  const [granted] = await waiter.receive(limit);
  return granted - released;
}
