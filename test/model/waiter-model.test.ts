import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { MUTANTS } from './mutants.js';
import { search } from './search.js';
import { LOCK_OUTCOMES, type Scenario, WAIT_STATES } from './waiter-state.js';

const base: Scenario = {
  environmentOf: [0],
  workers: 1,
  takes: 1,
  removes: 1,
  otherReleases: true,
  aborts: true,
  teardown: true,
  alarmsFail: true,
};

const SCENARIOS: Record<string, Scenario> = {
  'one wait, with everything that can come for it': base,
  'another process keeps the lock for ever': { ...base, takes: 0, removes: 0, otherReleases: false },
  'two waiters of one environment': { ...base, environmentOf: [0, 0], teardown: false, alarmsFail: false },
  'two environments share a thread and the poller': {
    ...base,
    environmentOf: [0, 1],
    takes: 0,
    removes: 0,
    teardown: false,
    alarmsFail: false,
  },
};

const native = (name: string) => readFileSync(path.join(__dirname, '../../native', name), 'utf8');
const namesIn = (text: string | undefined) => (text ?? '').replace(/\/\/.*/g, '').match(/k[A-Z]\w*/g) ?? [];

/** How the model moves a wait; the header says the same in its comment. */
const TRANSITIONS = [
  'kWaiting -> kEnded',
  'kWaiting -> kCancelling -> kEnded',
  'kWaiting -> [kCancelling ->] kAbandoned',
  'kWaiting -> freed by Cancel or Abandon',
];
/** Outcomes of the other jobs of a thread, or of a wait that goes on in the poll list (`alarmsFail`). */
const NOT_MODELLED = ['kFailed', 'kUnrecorded', 'kNotAFile', 'kCannotWait'];

describe('the model of a wait', () => {
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    test(`no interleaving breaks a law: ${name}`, () => {
      const start = performance.now();
      const { states, refutation } = search(scenario);
      console.log(`${name}: ${states} states, ${((performance.now() - start) / 1000).toFixed(1)} s`);
      expect(refutation).toBe(null);
      expect(states).toBeGreaterThan(400);
    });
  }

  test.each(MUTANTS)('a planted fault is refuted: %s', (mutant) => {
    for (const scenario of Object.values(SCENARIOS)) {
      const { refutation } = search(scenario, mutant);
      if (refutation === null) continue;
      console.log(`${mutant}: ${refutation.fault}, after ${refutation.steps.length} steps`);
      return;
    }
    expect.unreachable(`no scenario refutes: ${mutant}`);
  });

  test('its states, outcomes and transitions are those of the code', () => {
    const header = native('lock_waiter.h');
    expect(namesIn(/enum State[^{]*\{([^}]*)\}/.exec(header)?.[1])).toEqual([...WAIT_STATES]);
    const outcomes = namesIn(/enum class Outcome[^{]*\{([^}]*)\}/.exec(native('lock_file.h'))?.[1]);
    expect(outcomes.sort()).toEqual([...LOCK_OUTCOMES, ...NOT_MODELLED].sort());
    const transitions = header.match(/^\/\/ {3}kWaiting -> .*?(?= {3}|$)/gm) ?? [];
    expect(transitions.map((line) => line.replace(/^\/\/ +/, '').trim())).toEqual(TRANSITIONS);
  });
});
