import diagnostics from 'node:diagnostics_channel';
import { LockTimeoutError } from './errors.js';
import type { LockHolder } from './holder/lock-holder.js';
import type { LockMechanism, LockMode } from './lock-mode.js';

/**
 * What a program can subscribe to with node:diagnostics_channel. Without subscribers it costs one comparison a call.
 *
 * - Tracing channel `native-file-lock.acquire` (start, end, asyncStart, asyncEnd, error) with an
 *   {@link AcquireTrace}, for `acquire` and `acquireSync`.
 * - Channel `native-file-lock.release` with a {@link ReleaseMessage}.
 * - Channel `native-file-lock.abandoned` with an {@link AbandonedMessage}.
 */
export interface AcquireTrace {
  /** The absolute path of the lock file. */
  path: string;
  /** The mode that was asked for. */
  mode: LockMode;
  /** The mechanism of the lock. */
  mechanism: LockMechanism;
  /** Longest wait in milliseconds; 0: exactly one attempt, `Infinity`: no limit. */
  timeout: number;
  /** How the acquisition ended; not set before. */
  outcome?: 'granted' | 'timedOut' | 'aborted' | 'failed';
}

/** A lock was released. */
export interface ReleaseMessage {
  /** The absolute path of the lock file. */
  path: string;
  /** How it was held. */
  mode: LockMode;
}

/** A lock was granted whose last recorded holder ended without releasing. */
export interface AbandonedMessage {
  /** The absolute path of the lock file. */
  path: string;
  /** Who ended without releasing. */
  previousHolder: LockHolder;
}

const PREFIX = 'native-file-lock';
const released = diagnostics.channel(`${PREFIX}.release`);
const abandoned = diagnostics.channel(`${PREFIX}.abandoned`);
// Node 18.18 has no tracing channels yet; nobody can subscribe to them there.
const acquiring = diagnostics.tracingChannel?.(`${PREFIX}.acquire`);
const acquiringEvents =
  acquiring === undefined
    ? []
    : [acquiring.start, acquiring.end, acquiring.asyncStart, acquiring.asyncEnd, acquiring.error];

/** Whether acquisitions have subscribers; then they go through the functions below. */
export function acquisitionsAreTraced(): boolean {
  for (const event of acquiringEvents) if (event.hasSubscribers) return true;
  return false;
}

export function traceAcquire<T>(trace: AcquireTrace, signals: readonly AbortSignal[], acquire: () => Promise<T>) {
  return acquiring.tracePromise(
    () =>
      acquire().then(
        (guard) => {
          trace.outcome = 'granted';
          return guard;
        },
        (error: unknown) => {
          trace.outcome = outcomeOf(error, signals);
          throw error;
        },
      ),
    trace,
  );
}

export function traceAcquireSync<T>(trace: AcquireTrace, acquire: () => T): T {
  return acquiring.traceSync(() => {
    try {
      const guard = acquire();
      trace.outcome = 'granted';
      return guard;
    } catch (error) {
      trace.outcome = outcomeOf(error, []);
      throw error;
    }
  }, trace);
}

function outcomeOf(error: unknown, signals: readonly AbortSignal[]): 'timedOut' | 'aborted' | 'failed' {
  if (error instanceof LockTimeoutError) return 'timedOut';
  return signals.some((signal) => signal.aborted && error === signal.reason) ? 'aborted' : 'failed';
}

export function publishRelease(path: string, exclusive: boolean): void {
  if (released.hasSubscribers) released.publish({ path, mode: exclusive ? 'exclusive' : 'shared' });
}

export function publishAbandoned(path: string, previousHolder: LockHolder): void {
  if (abandoned.hasSubscribers) abandoned.publish({ path, previousHolder });
}
