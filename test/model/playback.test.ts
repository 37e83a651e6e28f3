import { describe, expect, test } from 'vitest';
import { Library } from './library.js';
import { LIBRARY_FAULTS } from './library-faults.js';
import { Playback } from './playback.js';
import { PLAYED_BACK, SCENARIOS } from './scenarios.js';
import { randomTraces, type TraceStep, tracesOfAll } from './traces.js';
import type { Scenario } from './waiter-state.js';

const SEED = 1;
const RANDOM_TRACES = 300;
/** For a machine that is busy with other things, too. */
const LIMIT = 300_000;

async function playAll(library: Library, scenario: Scenario, traces: Iterable<TraceStep[]>): Promise<number> {
  let steps = 0;
  for (const trace of traces) {
    await new Playback(library, scenario, trace).play();
    steps += trace.length;
  }
  return steps;
}

describe('lib/queue follows the model', () => {
  const library = new Library();

  for (const [name, scenario] of Object.entries(PLAYED_BACK)) {
    test(
      `through every transition: ${name}`,
      async () => {
        const start = performance.now();
        const steps = await playAll(library, scenario, tracesOfAll(scenario));
        console.log(`${name}: ${steps} steps, ${((performance.now() - start) / 1000).toFixed(1)} s`);
        expect(steps).toBeGreaterThan(1000);
      },
      LIMIT,
    );
  }

  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    if (scenario.calls.some(({ environment }) => environment > 0)) continue; // lib/ is one environment
    test(`along random traces: ${name}`, async () => {
      expect(
        await playAll(library, scenario, randomTraces({ ...scenario, teardown: false }, SEED, RANDOM_TRACES)),
      ).toBeGreaterThan(1000);
    });
  }

  for (const [name, fault] of Object.entries(LIBRARY_FAULTS)) {
    test(`and a planted fault is noticed: ${name}`, async () => {
      const scenario = PLAYED_BACK[fault.traces] as Scenario;
      const faulty = playAll(new Library(fault), scenario, tracesOfAll(scenario));
      await expect(faulty).rejects.toThrow(/\nafter:\n/);
    });
  }
});
