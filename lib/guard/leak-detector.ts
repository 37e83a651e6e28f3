import { setImmediate } from '../clock.js';

/** A guard as the detector sees it. */
export interface Tracked {
  readonly path: string;
  /** Held, and not meant to be held until the process ends. */
  readonly canLeak: boolean;
  /** Registered here; only this file changes it. */
  watched: boolean;
}

/**
 * Warns when a guard is garbage collected while it is held. Such a lock stays held: V8 collects even a
 * module's top-level constant once nothing uses it, and a daemon must not lose its lock so. The open file
 * belongs to the addon, not to the guard.
 *
 * Registering every guard would cost a hot loop as much as a system call. So the newest guard is kept
 * here, and thereby alive, until the next one comes or the event loop turns; it is registered only if it is
 * still held then.
 */
const leaked = new FinalizationRegistry<string>((path) => {
  process.emitWarning(
    `A lock guard was garbage collected without release(): '${path}' stays locked until this thread or process ends. ` +
      'Use withLock() or `using`, or call untilExit() if that is meant.',
    { type: 'LockWarning', code: 'LOCK_GUARD_FORGOTTEN' },
  );
});
let newest: Tracked | null = null;
let turnIsAwaited = false;

function watchNewest(): void {
  if (newest?.canLeak && !newest.watched) {
    newest.watched = true;
    leaked.register(newest, newest.path, newest);
  }
  newest = null;
}

/** To be called before a wait, so that {@link track} has less to do after it. */
export function prepareToTrack(): void {
  if (turnIsAwaited) return;
  turnIsAwaited = true;
  setImmediate(() => {
    turnIsAwaited = false;
    watchNewest();
  }).unref();
}

/** Warns if this guard is collected while it is held. */
export function track(guard: Tracked): void {
  watchNewest();
  newest = guard;
  prepareToTrack();
}

/** No warning for this guard any more. */
export function untrack(guard: Tracked): void {
  if (newest === guard) newest = null;
  if (guard.watched) leaked.unregister(guard);
  guard.watched = false;
}
