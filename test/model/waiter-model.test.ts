import { describe, expect, test } from 'vitest';
import { MUTANTS, type Mutant } from './mutants.js';
import { SCENARIOS } from './scenarios.js';
import { search } from './search.js';
import type { Scenario } from './waiter-state.js';

/** For a machine that is busy with other things, too. */
const LIMIT = 300_000;

describe('the model of a wait', () => {
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    test(
      `no interleaving breaks a law: ${name}`,
      () => {
        const start = performance.now();
        const { states, refutation } = search(scenario);
        console.log(`${name}: ${states} states, ${((performance.now() - start) / 1000).toFixed(1)} s`);
        expect(refutation).toBe(null);
        expect(states).toBeGreaterThan(400);
      },
      LIMIT,
    );
  }

  for (const [mutant, scenario] of Object.entries(MUTANTS)) {
    test(
      `a planted fault is refuted: ${mutant}`,
      () => {
        const { refutation } = search(SCENARIOS[scenario] as Scenario, mutant as Mutant);
        console.log(`${mutant}: ${refutation?.fault}, after ${refutation?.steps.length} steps`);
        expect(refutation).not.toBe(null);
      },
      LIMIT,
    );
  }
});
