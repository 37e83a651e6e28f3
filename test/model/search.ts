import { faultOf } from './laws.js';
import type { Mutant } from './mutants.js';
import { Steps } from './steps.js';
import { copy, initialState, keyOf, OTHER, type Scenario, type State } from './waiter-state.js';
import { runOn } from './waiter-threads.js';

export interface SearchResult {
  states: number;
  /** What can happen, without its numbers. */
  steps: Set<string>;
  /** How the state of a wait changes. */
  transitions: Set<string>;
  /** What is wrong, and the steps that lead to it; null when nothing is. */
  refutation: { fault: string; steps: string[] } | null;
}

function isOver({ waiters, waits, threads, locks }: State, { otherReleases }: Scenario): boolean {
  return (
    waiters.every(({ ends, phase }) => phase === 'ended' && ends === 1) &&
    waits.length === 0 &&
    threads.every(({ at, next, idle }) => at === 'parked' && next < 0 && idle) &&
    locks.every((holders) => holders.every((holder) => holder === OTHER && !otherReleases))
  );
}

/** How the state of each wait has changed; a wait that is new in the place of another is the end of that one. */
function transitionsOf(before: State, after: State): string[] {
  return before.waits.flatMap((wait, number) => {
    if (wait === null) return [];
    const next = after.waits[number]?.state ?? 'freed';
    if (next === wait.state) return [];
    return [`${wait.state} -> ${next === 'kWaiting' ? 'freed' : next}`];
  });
}

/**
 * Visits every state that can be reached, breadth first, so that a refutation is as short as can be. Then goes
 * back from the states in which all is over: where no way leads there, somebody waits for ever or something leaks.
 */
export function search(scenario: Scenario, mutant: Mutant = null): SearchResult {
  const steps = new Steps(scenario, mutant);
  const first = initialState(scenario);
  const numbers = new Map<string, number>([[keyOf(first), 0]]);
  const frontier: State[] = [first];
  const cameFrom = [-1];
  const cameBy = [''];
  const before: number[][] = [[]];
  const found = { steps: new Set<string>(), transitions: new Set<string>() };
  const ends: number[] = [];
  const pathTo = (number: number) => {
    const path: string[] = [];
    for (let at = number; at > 0; at = cameFrom[at] as number) path.unshift(cameBy[at] as string);
    return path;
  };
  for (let number = 0; number < frontier.length; number++) {
    const state = frontier[number] as State;
    frontier[number] = first; // only its number is needed from now on
    if (isOver(state, scenario)) ends.push(number);
    for (const [name, act] of steps.of(state)) {
      const after = copy(state);
      act(after);
      runOn(after, scenario, mutant);
      const fault = faultOf(after, scenario);
      if (fault !== '')
        return { ...found, states: numbers.size, refutation: { fault, steps: [...pathTo(number), name] } };
      found.steps.add(name.replace(/\d+/g, '#'));
      for (const transition of transitionsOf(state, after)) found.transitions.add(transition);
      const key = keyOf(after);
      let known = numbers.get(key);
      if (known === undefined) {
        known = numbers.size;
        numbers.set(key, known);
        frontier.push(after);
        cameFrom.push(number);
        cameBy.push(name);
        before.push([]);
      }
      before[known]?.push(number);
    }
  }
  const comesToAnEnd = new Uint8Array(numbers.size);
  for (const number of ends) comesToAnEnd[number] = 1;
  for (let at = 0; at < ends.length; at++) {
    for (const number of before[ends[at] as number] ?? []) {
      if (comesToAnEnd[number] === 1) continue;
      comesToAnEnd[number] = 1;
      ends.push(number);
    }
  }
  const stuck = comesToAnEnd.indexOf(0);
  const refutation = stuck < 0 ? null : { fault: 'somebody waits for ever, or something leaks', steps: pathTo(stuck) };
  return { ...found, states: numbers.size, refutation };
}
