/** Those who wait for one signal. */
interface Audience {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/** One listener serves all of a signal: Node warns of more than ten. */
const audiences = new WeakMap<AbortSignal, Audience>();

function audienceOf(signal: AbortSignal): Audience {
  const known = audiences.get(signal);
  if (known !== undefined) return known;
  const callbacks = new Set<() => void>();
  const listener = () => {
    audiences.delete(signal);
    for (const callback of callbacks) callback();
  };
  signal.addEventListener('abort', listener, { once: true });
  const audience = { callbacks, listener };
  audiences.set(signal, audience);
  return audience;
}

/** Calls back once when the signal aborts, unless the function that this gives was called before. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const audience = audienceOf(signal);
  audience.callbacks.add(callback);
  return () => {
    audience.callbacks.delete(callback);
    if (audience.callbacks.size > 0 || audiences.get(signal) !== audience) return;
    audiences.delete(signal);
    signal.removeEventListener('abort', audience.listener);
  };
}
