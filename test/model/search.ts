import type { Mutant } from './mutants.js';
import { Environments } from './waiter-environments.js';
import { copy, initialState, NOBODY, type Scenario, type State } from './waiter-state.js';
import { threadSteps } from './waiter-threads.js';

export interface SearchResult {
  states: number;
  /** What is wrong, and the steps that lead to it; null when nothing is. */
  refutation: { fault: string; steps: string[] } | null;
}

/** Names what is wrong with a state, or nothing. */
function faultOf(state: State, scenario: Scenario): string {
  if (state.fault !== '') return state.fault;
  for (const [number, { cancels, pumps, gone }] of state.environments.entries()) {
    if (gone || pumps || cancels >= 0) continue;
    const own = state.waiters.filter((_, index) => scenario.environmentOf[index] === number);
    const head = own.find(({ phase }) => phase === 'queued' || phase === 'inKernel');
    if (head?.phase === 'queued' && !own.some(({ phase }) => phase === 'granted')) return 'nobody wakes the head';
  }
  const holders = state.waiters.filter(({ phase, gaveUpPath }) => phase === 'granted' && !gaveUpPath).length;
  const other = state.other.file >= 0 && !state.other.gaveUpPath ? 1 : 0;
  if (holders + other > 1) return 'two holders';
  for (const [index, { ends, phase, wait, file }] of state.waiters.entries()) {
    if (ends > 1) return 'a wait ends twice';
    if (phase === 'granted' && state.locks[file] !== index) return 'a guard without the lock';
    if (wait === null) {
      if (phase !== 'granted' && state.locks.includes(index)) return 'a wait that is over keeps the lock';
      continue;
    }
    const runners = state.threads.filter(({ runs, next }) => runs === index || next === index).length;
    const answered = wait.state === 'kEnded' && !wait.inEndedList;
    const owners = runners + Number(wait.inPollList) + Number(wait.inEndedList) + Number(answered && runners === 0);
    if (owners !== 1) return `a wait has ${owners} owners`;
  }
  return '';
}

function isOver({ waiters, threads, locks, other }: State, scenario: Scenario): boolean {
  return (
    waiters.every(({ ends, phase, wait }) => phase === 'ended' && ends === 1 && wait === null) &&
    threads.every(({ at, next, idle }) => at === 'parked' && next < 0 && idle) &&
    locks.every((holder) => holder === NOBODY || (!scenario.otherReleases && other.file === 0))
  );
}

/**
 * Visits every state that can be reached, breadth first, so that a refutation is as short as can be. Then goes
 * back from the states in which all is over: where no way leads there, somebody waits for ever or something leaks.
 */
export function search(scenario: Scenario, mutant: Mutant = null): SearchResult {
  const environments = new Environments(scenario, mutant);
  const first = initialState(scenario);
  const numbers = new Map<string, number>([[JSON.stringify(first), 0]]);
  const frontier: State[] = [first];
  const cameFrom = [-1];
  const cameBy = [''];
  const before: number[][] = [[]];
  const ends: number[] = [];
  const pathTo = (number: number) => {
    const steps: string[] = [];
    for (let at = number; at > 0; at = cameFrom[at] as number) steps.unshift(cameBy[at] as string);
    return steps;
  };
  for (let number = 0; number < frontier.length; number++) {
    const state = frontier[number] as State;
    frontier[number] = first; // only its number is needed from now on
    if (isOver(state, scenario)) ends.push(number);
    const threads = state.threads.flatMap((_, index) => threadSteps(state, index, scenario, mutant));
    for (const [name, act] of [...environments.steps(state), ...threads]) {
      const after = copy(state);
      act(after);
      const fault = faultOf(after, scenario);
      if (fault !== '') return { states: numbers.size, refutation: { fault, steps: [...pathTo(number), name] } };
      const key = JSON.stringify(after);
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
  return { states: numbers.size, refutation };
}
