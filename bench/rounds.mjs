import { setTimeout as delay } from 'node:timers/promises';
import { median } from './figures.mjs';

/**
 * Runs the measures in turns, so many rounds, the order reversed in every other one. Gives each one's
 * results. A measure that fails is out, and its result is the error.
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

/** The same for sides without which there is nothing to compare: a failure of one is the work's. */
export async function interleaveAll(rounds, measures) {
  const results = await interleave(rounds, measures);
  for (const each of Object.values(results)) if (each instanceof Error) throw each;
  return results;
}

/** The median, or NaN for a side that failed. */
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
