import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { SCENARIOS } from './scenarios.js';
import { type SearchResult, search } from './search.js';
import { OUTCOMES, type Scenario, WAIT_JOBS, WAIT_STATES } from './waiter-state.js';

const native = (name: string) => readFileSync(path.join(__dirname, '../../native', name), 'utf8');
const namesIn = (text: string | undefined) => (text ?? '').replace(/\/\/.*/g, '').match(/k[A-Z]\w*/g) ?? [];

/** Errors of the system, and a wait that goes on in the poll list (`alarmsFail`). */
const NOT_MODELLED = ['kFailed', 'kNotAFile', 'kCannotWait'];

/**
 * Every place of the code that looks at the state or the job of a wait, or changes it, and the steps of the model in
 * which it does. A new place, or one less, is another state machine: change the model first.
 */
const PLACES: Record<string, string[]> = {
  'Waits::Attach == kWaiting': ['thread # attaches its alarm'],
  'Waits::Finish == kWaiting': ['thread # ends the wait'],
  'Waits::Finish = kEnded': ['thread # ends the wait'],
  'Waits::Finish == kCancelling': ['thread # answers'],
  'Waits::Finish = kEnded (2)': ['thread # answers'],
  'Waits::Cancel == kEnded': ['# is aborted', '# notices its deadline'],
  'Waits::Cancel TakeFromPollList kCancelling': ['# is aborted', '# notices its deadline'],
  'Waits::Cancel == kCancelling': ['the cancelling of # is answered'],
  'Waits::Cancel Park kCancelling': ['the cancelling of # is answered'],
  'Waits::Cancel == kCancelling (2)': ['patience with # is over'],
  'Waits::Cancel = kAbandoned': ['patience with # is over'],
  'Waits::Abandon == kEnded': ['environment # ends'],
  'Waits::Abandon TakeFromPollList kAbandoned': ['environment # ends'],
  'Waits::TakeFromPollList RemoveFromPollList otherwise': ['# is aborted', 'environment # ends'],
  'Add != kWaiting': ['thread # puts the wait into the poll list'],
  'Remove = otherwise': ['# is aborted', 'environment # ends'],
  'BlockInKernel != kWaiting': ['thread # looks why it was interrupted'],
  'Run job kLock': ['thread # starts'],
  'TryJob job kLock': ['thread # opens the file', 'thread # tries'],
  'TryJob job kRecord': ['thread # records the holder', 'thread # cannot record the holder'],
  'TryJob job kVerify': ['thread # looks'],
  'TryJob job kInspect': ['thread # looks'],
  'UndoJob job kRecord': ['thread # undoes its job and closes the file'],
  'Environment::StartRecord job kRecord': ['the end of # is delivered'],
  'Environment::StartVerify job kVerify': ['# calls inspect'],
  'Environment::StartInspect job kInspect': ['# calls inspect'],
  'Environment::StartReadAll job kReadAll': ['# calls inspect'],
  'Environment::Deliver job kInspect': ['the end of # is delivered'],
  'HoldsFile job kLock': ['the end of # is delivered'],
  'HoldsFile job kRecord': ['the end of # is delivered'],
};

const DEFINITION =
  /^ {0,2}(?!return|else|if|for|while|using)(?:[\w:*&<>]+ )+\*?((?:\w+::)*\w+)\((?:[^;]*[{,}]|\) const \{.*)$/;
const USES: [RegExp, string][] = [
  [/state\.load\([^)]*\) ([!=]=) Wait::(k\w+)/, '$1 $2'],
  [/state\.store\((?:Wait::)?(\w+)/, '= $1'],
  [/\b(\w*PollList|Park)\([^;]*?(?:Wait::(k\w+)|, (otherwise))[,)]/, '$1 $2$3'],
];

function placesIn(file: string): string[] {
  let inside = '';
  return native(file)
    .replace(/\/\/.*/g, '')
    .split('\n')
    .flatMap((line) => {
      inside = DEFINITION.exec(line)?.[1] ?? inside;
      const jobs = [
        ...line.matchAll(
          /(?:job [!=>]?= (?:Wait::)?|case Wait::|, Wait::)(kLock|kRecord|kVerify|kInspect|kReadAll)\b/g,
        ),
      ];
      const isDeclared = /Job job = /.test(line);
      const uses = USES.flatMap(([use, place]) => (use.test(line) ? [line.match(use)?.[0].replace(use, place)] : []));
      return [...uses, ...(isDeclared ? [] : jobs.map(([, job]) => `job ${job}`))].map((use) => `${inside} ${use}`);
    });
}

describe('the model of a wait has', () => {
  let modelled: SearchResult[];
  beforeAll(() => {
    const names = ['one wait, with everything that can come for it', 'on a server, questions included'];
    modelled = names.map((name) => search(SCENARIOS[name] as Scenario));
  });

  test('the states, the jobs and the outcomes of the code', () => {
    const header = native('lock_waiter.h');
    expect(namesIn(/enum State[^{]*\{([^}]*)\}/.exec(header)?.[1])).toEqual([...WAIT_STATES]);
    expect(namesIn(/enum Job[^{]*\{([^}]*)\}/.exec(header)?.[1])).toEqual([...WAIT_JOBS]);
    const outcomes = namesIn(/enum class Outcome[^{]*\{([^}]*)\}/.exec(native('lock_file.h'))?.[1]);
    expect(outcomes.sort()).toEqual([...OUTCOMES, ...NOT_MODELLED].sort());
  });

  test('the transitions that native/lock_waiter.h names', () => {
    const named = (native('lock_waiter.h').match(/^\/\/ {3}kWaiting -> .*?(?= {3}|$)/gm) ?? []).flatMap((line) => {
      const [first, ...states] = line.match(/k[A-Z]\w*|freed/g) ?? [];
      const pairs = states.map((state, index) => `${[first, ...states][index]} -> ${state}`);
      return line.includes('[') ? [...pairs, `${first} -> ${states.at(-1)}`] : pairs;
    });
    // What has ended is freed by whoever took it, and what was abandoned by its thread.
    const ends = ['kEnded -> freed', 'kAbandoned -> freed'];
    const taken = new Set(modelled.flatMap(({ transitions }) => [...transitions]));
    expect([...taken].sort()).toEqual([...new Set([...named, ...ends])].sort());
  });

  test('a step for every place where the code looks at a state or changes it', () => {
    const files = ['lock_waiter.h', 'lock_waiter.cc', 'waiter_threads.cc', 'wait_jobs.cc'];
    const places = [...files, 'boundary/environment_waits.cc'].flatMap(placesIn);
    const numbered = places.map((place, index) => {
      const before = places.slice(0, index).filter((each) => each === place).length;
      return before === 0 ? place : `${place} (${before + 1})`;
    });
    expect(numbered.sort()).toEqual(Object.keys(PLACES).sort());
    const taken = new Set(modelled.flatMap(({ steps }) => [...steps]));
    expect(
      Object.values(PLACES)
        .flat()
        .filter((step) => !taken.has(step)),
    ).toEqual([]);
  });
});
