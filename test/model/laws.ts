import { NOBODY, ofWait, type Scenario, type State } from './waiter-state.js';

const conflict = (scenario: Scenario, a: number, b: number) =>
  scenario.calls[a]?.shared !== true || scenario.calls[b]?.shared !== true;

/** Names what is wrong with a state, or nothing. */
export function faultOf(state: State, scenario: Scenario): string {
  return (
    state.fault ||
    headFault(state, scenario) ||
    holderFault(state, scenario) ||
    waitFault(state) ||
    recordFault(state, scenario)
  );
}

function headFault({ environments, waiters, waits, locks }: State, { calls }: Scenario): string {
  for (const [number, { cancels, pumps, yields, call, gone }] of environments.entries()) {
    const own = [...calls.keys()].filter((index) => calls[index]?.environment === number);
    const { phase, open } = waiters[call] ?? {};
    const isMine = (holder: number) => own.includes(waits[holder - ofWait(0)]?.waiter ?? holder);
    if (
      phase === 'blocking' &&
      locks[open ?? -1]?.some((each) => isMine(each) && conflict({ calls } as Scenario, each, call))
    ) {
      return 'a synchronous call waits for its own thread';
    }
    if (gone || pumps || yields || cancels >= 0 || call >= 0) continue;
    const head = own.find(
      (index) => ['queued', 'inKernel'].includes(waiters[index]?.phase ?? '') && calls[index]?.method === 'acquire',
    );
    if (head === undefined) continue;
    const isBarred = own.some(
      (index) => waiters[index]?.phase === 'granted' && conflict({ calls } as Scenario, index, head),
    );
    if (waiters[head]?.phase === 'queued' && !isBarred) return 'nobody wakes the head';
    if (waiters[head]?.phase === 'inKernel' && isBarred) return 'the head waits in the kernel for its own thread';
  }
  return '';
}

function holderFault({ waiters, other, locks }: State, scenario: Scenario): string {
  const holders = [...waiters.keys()].filter(
    (index) => waiters[index]?.phase === 'granted' && !waiters[index].gaveUpPath,
  );
  for (const a of holders) {
    if (holders.some((b) => a !== b && conflict(scenario, a, b))) return 'two holders';
    if (other.file < 0 || other.gaveUpPath) continue;
    if (!scenario.otherShares || scenario.calls[a]?.shared !== true) return 'two holders';
  }
  for (const [index, { ends, phase, file }] of waiters.entries()) {
    if (ends > 1) return 'a call ends twice';
    const own = locks.map((each) => each.includes(index));
    if (phase === 'granted' ? !own[file] : phase !== 'lockedHere' && own.includes(true)) {
      return phase === 'granted' ? 'a guard without the lock' : 'a wait that is over keeps the lock';
    }
  }
  return '';
}

function waitFault({ waits, threads, locks }: State): string {
  for (const [number, wait] of waits.entries()) {
    if (wait === null) continue;
    const runners = threads.filter(({ runs, next }) => runs === number || next === number).length;
    const answered = wait.state === 'kEnded' && !wait.inEndedList;
    const owners = runners + Number(wait.inPollList) + Number(wait.inEndedList) + Number(answered && runners === 0);
    if (owners !== 1) return `a wait has ${owners} owners`;
  }
  const isStray = (holder: number) => holder >= ofWait(0) && !waits[holder - ofWait(0)];
  return locks.some((holders) => holders.some(isStray)) ? 'a wait that is over keeps the lock' : '';
}

/** A record tells that the lock was abandoned when its holder has ended without releasing it; and that is told once. */
function recordFault({ records, locks, told }: State, { network }: Scenario): string {
  if (!network) return '';
  for (const [file, holder] of records.entries()) {
    if (holder >= 0 && locks[file]?.length === 0) return 'a lock that was released seems to be abandoned';
  }
  if (told > 1) return 'an abandoned lock is told of twice';
  return told === 0 && records[0] === NOBODY ? 'an abandoned lock is forgotten' : '';
}
