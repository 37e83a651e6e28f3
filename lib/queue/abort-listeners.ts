/** Called with the reason of the abort. */
export type OnAbort = (reason: unknown) => void;

/** The callbacks that are registered on one AbortSignal. */
interface AbortListeners {
  readonly callbacks: Set<OnAbort>;
  readonly listener: () => void;
}

/** One listener for all the callbacks of a signal: Node warns about more than ten listeners. */
const listenersOf = new WeakMap<AbortSignal, AbortListeners>();

function listen(signal: AbortSignal): AbortListeners {
  const known = listenersOf.get(signal);
  if (known !== undefined) return known;
  const callbacks = new Set<OnAbort>();
  const listener = () => {
    listenersOf.delete(signal);
    // A callback may remove others from the set; those are then not called.
    for (const callback of callbacks) callback(signal.reason);
  };
  signal.addEventListener('abort', listener, { once: true });
  const listeners = { callbacks, listener };
  listenersOf.set(signal, listeners);
  return listeners;
}

/** Calls back once when the signal aborts, unless {@link offAbort} was called before. */
export function onAbort(signal: AbortSignal, callback: OnAbort): void {
  listen(signal).callbacks.add(callback);
}

export function offAbort(signal: AbortSignal, callback: OnAbort): void {
  const listeners = listenersOf.get(signal);
  if (listeners === undefined) return;
  listeners.callbacks.delete(callback);
  if (listeners.callbacks.size > 0) return;
  listenersOf.delete(signal);
  signal.removeEventListener('abort', listeners.listener);
}
