import { BUSY, loadNative, type Native } from './native.js';

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
  /** Of `performance.now()`. */
  deadline: number;
  /** Whether a thread may take over, once there is one. */
  mayUseThread: boolean;
}

/**
 * The waits of this environment that are under way: each on a thread of the addon's, or, where no
 * thread can be had, polled.
 */
const onThreads = new Map<number, WaitOwner>();
const polled = new Map<WaitOwner, PolledWait>();
let pollIsComing = false;
let native: Native | undefined;

function prepare(path: string): Native {
  if (native !== undefined) return native;
  native = loadNative(path);
  native.onWaitEnded((handle, outcome) => {
    const owner = onThreads.get(handle);
    onThreads.delete(handle);
    owner?.onWaitEnded(outcome);
  });
  return native;
}

function startOnThread(owner: WaitOwner, { handle, exclusive, deadline, mayUseThread }: PolledWait): boolean {
  const started = mayUseThread && prepare(owner.path).startWait(handle, exclusive, deadline - performance.now());
  if (started) onThreads.set(handle, owner);
  return started;
}

/**
 * Waits until `deadline` (of `performance.now()`). On a thread the open file is the thread's from now on,
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
  pollLater();
}

function pollLater(): void {
  if (pollIsComing) return;
  pollIsComing = true;
  setTimeout(poll, POLL_INTERVAL);
}

function poll(): void {
  pollIsComing = false;
  let threadsAreLeft = true;
  for (const [owner, wait] of [...polled]) {
    if (polled.get(owner) !== wait) continue; // ended meanwhile, by another one's end
    const outcome = prepare(owner.path).tryLock(wait.handle, wait.exclusive);
    if (outcome !== BUSY) {
      polled.delete(owner);
      owner.onWaitEnded(outcome);
    } else if (threadsAreLeft && wait.mayUseThread) {
      threadsAreLeft = startOnThread(owner, wait);
      if (threadsAreLeft) polled.delete(owner);
    }
  }
  if (polled.size > 0) pollLater();
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
  if (polled.delete(owner)) return null;
  onThreads.delete(handle);
  return prepare(owner.path).cancelWait(handle);
}

/** The owners that wait on threads for the file that is open by `handle`, by whichever path they know it. */
export function ownersWaitingFor(handle: number, path: string): WaitOwner[] {
  if (onThreads.size === 0) return [];
  const waits = [...onThreads].filter(([wait]) => prepare(path).contend(wait, handle));
  return waits.map(([, owner]) => owner);
}

let pending = 0;

/** Counts the waits that keep the process alive; a held lock does not. */
export function countPending(change: 1 | -1, path: string): void {
  pending += change;
  if (pending === 0) prepare(path).keepAlive(false);
  else if (pending === 1 && change === 1) prepare(path).keepAlive(true);
}
