import { Steps } from './steps.js';
import { copy, initialState, keyOf, type Scenario, type State } from './waiter-state.js';
import { runOn } from './waiter-threads.js';

/** What happens, and the state that the model is in then. */
export interface TraceStep {
  readonly name: string;
  readonly after: State;
}

interface Edge {
  readonly name: string;
  readonly to: number;
  isTaken: boolean;
}

/** Every state that can be reached, in the order of their distance, and every transition. */
class Graph {
  readonly states: State[];
  readonly edges: Edge[][] = [];
  readonly #cameFrom: [number, Edge][] = [];

  constructor(scenario: Scenario) {
    const steps = new Steps(scenario, null);
    this.states = [initialState(scenario)];
    const numbers = new Map([[keyOf(this.states[0] as State), 0]]);
    for (let number = 0; number < this.states.length; number++) {
      const edges = steps.of(this.states[number] as State).map(([name, act]) => {
        const after = copy(this.states[number] as State);
        act(after);
        runOn(after, scenario, null);
        const key = keyOf(after);
        const known = numbers.get(key);
        const edge = { name, to: known ?? this.states.length, isTaken: false };
        if (known === undefined) {
          numbers.set(key, edge.to);
          this.#cameFrom[edge.to] = [number, edge];
          this.states.push(after);
        }
        return edge;
      });
      this.edges.push(edges);
    }
  }

  pathTo(number: number): Edge[] {
    const path: Edge[] = [];
    for (let at = number; at > 0; ) {
      const [from, edge] = this.#cameFrom[at] as [number, Edge];
      path.unshift(edge);
      at = from;
    }
    return path;
  }
}

/** Traces that together take every transition: each leads to one that is new, and goes on by new ones to an end. */
export function* tracesOfAll(scenario: Scenario): Generator<TraceStep[]> {
  const graph = new Graph(scenario);
  for (const number of graph.edges.keys()) {
    while (graph.edges[number]?.some(({ isTaken }) => !isTaken)) {
      const trace = graph.pathTo(number);
      for (let at = number; ; at = (trace.at(-1) as Edge).to) {
        const edges = graph.edges[at] as Edge[];
        // To the very end, so that what was left behind shows.
        const next = edges.find(({ isTaken }) => !isTaken) ?? edges.find(({ to }) => to > at);
        if (next === undefined) break;
        next.isTaken = true;
        trace.push(next);
      }
      yield trace.map(({ name, to }) => ({ name, after: graph.states[to] as State }));
    }
  }
}

/** The generator of Park and Miller. */
function randomNumbers(seed: number): (below: number) => number {
  let last = seed;
  return (below) => {
    last = (last * 48271) % 2147483647;
    return last % below;
  };
}

/** Long traces at random. */
export function* randomTraces(scenario: Scenario, seed: number, count: number): Generator<TraceStep[]> {
  const steps = new Steps(scenario, null);
  const random = randomNumbers(seed);
  for (let number = 0; number < count; number++) {
    const trace: TraceStep[] = [];
    let state = initialState(scenario);
    for (let length = 0; length < 200; length++) {
      const possible = steps.of(state);
      const [name, act] = possible[random(possible.length)] ?? [];
      if (name === undefined || act === undefined) break;
      state = copy(state);
      act(state);
      runOn(state, scenario, null);
      trace.push({ name, after: state });
    }
    yield trace;
  }
}
