import { loadNative, type Native } from './native.js';

/** Waits for which there is no thread are polled this often (ms). */
const POLL_INTERVAL = 8;

/** Told once of how a wait ended by itself. */
export interface WaitOwner {
  readonly path: string;
  onWaitEnded(outcome: number): void;
  /** It is time for another attempt. */
  onPoll(): void;
  /** Stops waiting, and holds nothing, until {@link resume}. */
  stepAside(): void;
  resume(): void;
}

/**
 * The waits of this environment that are under way, each on a thread of the addon's or, where no
 * thread can be had, polled. An owner has at most one.
 */
const onThreads = new Map<number, WaitOwner>();
let polled = new Set<WaitOwner>();
let pollTimer: NodeJS.Timeout | undefined;
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

function pollLater(): void {
  if (pollTimer !== undefined) return;
  pollTimer = setTimeout(() => {
    pollTimer = undefined;
    const round = polled;
    polled = new Set();
    for (const owner of round) owner.onPoll();
  }, POLL_INTERVAL);
}

/** The open file is the thread's from now on, and `handle` names the wait; if polled, it stays the owner's. */
export function startWait(owner: WaitOwner, handle: number, exclusive: boolean, ms: number, onThread: boolean): void {
  if (onThread && prepare(owner.path).startWait(handle, exclusive, ms)) {
    onThreads.set(handle, owner);
  } else {
    polled.add(owner);
    pollLater();
  }
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
