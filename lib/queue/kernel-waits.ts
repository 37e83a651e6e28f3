import { now, setTimeout } from '../clock.js';
import { BUSY, GRANTED, loadNative, type Native } from '../native.js';

/** Waits for which there is no thread are polled this often (ms). */
const POLL_INTERVAL = 9;

/** Who waits. Has at most one wait at a time, and is told once of how it ended by itself. */
export interface WaitOwner {
  readonly path: string;
  onWaitEnded(outcome: number): void;
  /** Stops waiting, and holds nothing, until {@link resume}. */
  stepAside(): void;
  resume(): void;
}

interface PolledWait {
  handle: number;
  exclusive: boolean;
  /** Of the monotonic clock. */
  deadline: number;
  /** Whether a thread may take over, once there is one. */
  mayUseThread: boolean;
}

/** The waits of an environment that are on threads of the addon's, and how many keep the process alive. */
export interface Waits {
  readonly onThreads: Map<number, WaitOwner>;
  pending: number;
}

const polled = new Map<WaitOwner, PolledWait>();
let pollIsComing = false;
let native: Native | undefined;

/**
 * The addon, which tells of its waits. The waits are kept with it, since this module can be loaded more
 * than once (tests that reset modules do so) and the addon then is the same all the same.
 */
function prepare(path: string): Native & { waits: Waits } {
  native ??= loadNative(path);
  if (native.waits === undefined) {
    const waits: Waits = { onThreads: new Map(), pending: 0 };
    native.waits = waits;
    native.onWaitEnded((handle, outcome) => {
      const owner = waits.onThreads.get(handle);
      waits.onThreads.delete(handle);
      owner?.onWaitEnded(outcome);
    });
  }
  return native as Native & { waits: Waits };
}

function startOnThread(owner: WaitOwner, { handle, exclusive, deadline, mayUseThread }: PolledWait): boolean {
  if (!mayUseThread) return false;
  const { waits, startWait } = prepare(owner.path);
  const started = startWait(handle, exclusive, deadline - now());
  if (started) waits.onThreads.set(handle, owner);
  return started;
}

/**
 * Waits until `deadline` (of the monotonic clock). On a thread the open file is the thread's from now on,
 * and `handle` names the wait; when polled, it stays the owner's, who then has to end the wait in time.
 */
export function startWait(
  owner: WaitOwner,
  handle: number,
  exclusive: boolean,
  deadline: number,
  mayUseThread: boolean,
): void {
  const wait = { handle, exclusive, deadline, mayUseThread };
  if (startOnThread(owner, wait)) return;
  polled.set(owner, wait);
  lastRound = undefined;
  pollLater();
}

function pollLater(): void {
  if (pollIsComing) return;
  pollIsComing = true;
  setTimeout(poll, POLL_INTERVAL);
}

function poll(): void {
  pollIsComing = false;
  const { waits, attempts, results } = roundOf();
  if (waits[0] === undefined) return;
  const { tryEach, close } = prepare(waits[0][0].path);
  if (tryEach(attempts, results) > 0) {
    for (const [index, [owner, wait]] of waits.entries()) {
      const outcome = results[index] as number;
      // What is polled no more was ended by another one's end, and its file closed.
      if (outcome === BUSY || polled.get(owner) !== wait) continue;
      stopPolling(owner);
      if (outcome !== GRANTED) close(wait.handle);
      owner.onWaitEnded(outcome);
    }
  }
  moveToThreads(waits);
  if (polled.size > 0) pollLater();
}

/** What is tried in one round: who waits, what the addon has to try for each, and the room for its results. */
interface Round {
  readonly waits: readonly [WaitOwner, PolledWait][];
  readonly attempts: Int32Array;
  readonly results: Int32Array;
}

let lastRound: Round | undefined;

/** The same round again as long as nobody comes or goes: hundreds of waits are polled a hundred times a second. */
function roundOf(): Round {
  if (lastRound === undefined) {
    const waits = [...polled];
    const attempts = Int32Array.from(waits, ([, { handle, exclusive }]) => 2 * handle + Number(exclusive));
    lastRound = { waits, attempts, results: new Int32Array(waits.length) };
  }
  return lastRound;
}

function stopPolling(owner: WaitOwner): boolean {
  lastRound = undefined;
  return polled.delete(owner);
}

/** As many as there are threads for; but none whose deadline is near: those come in crowds, all at once. */
function moveToThreads(waits: Round['waits']): void {
  const nearest = now() + 2 * POLL_INTERVAL;
  for (const [owner, wait] of waits) {
    if (polled.get(owner) !== wait || !wait.mayUseThread || wait.deadline < nearest) continue;
    if (!startOnThread(owner, wait)) return;
    stopPolling(owner);
  }
}

/** Whether the owner waits on a thread, which itself ends the wait at the deadline. */
export function waitsOnThread(owner: WaitOwner): boolean {
  return !polled.has(owner);
}

/**
 * Ends the wait of an owner; it will not be told of it any more. The outcome that it had before, or
 * null: nobody had waited on a thread, and the open file is still the owner's.
 */
export function endWait(owner: WaitOwner, handle: number): number | null {
  if (stopPolling(owner)) return null;
  const { waits, cancelWait } = prepare(owner.path);
  waits.onThreads.delete(handle);
  return cancelWait(handle);
}

/** The owners that wait on threads for the file that is open by `handle`, by whichever path they know it. */
export function ownersWaitingFor(handle: number, path: string): WaitOwner[] {
  const { waits, contend } = prepare(path);
  return [...waits.onThreads].filter(([wait]) => contend(wait, handle)).map(([, owner]) => owner);
}

/** Counts the waits that keep the process alive; a held lock does not. */
export function countPending(change: 1 | -1, path: string): void {
  const { waits, keepAlive } = prepare(path);
  waits.pending += change;
  if (waits.pending === 0) keepAlive(false);
  else if (waits.pending === 1 && change === 1) keepAlive(true);
}
