/** Who holds a lock, as far as can be told. A hint for people: only the kernel knows who holds it. */
export interface LockHolder {
  pid: number;
  hostname: string;
  /** The executable and its script; never the other arguments, which can hold secrets. */
  command: string;
  acquiredAt: Date | null;
  /** Null: it cannot be told from here (another host, another pid namespace). */
  running: boolean | null;
  thisProcess: boolean;
}

const TERMINAL_CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function escapeControls(text: string): string {
  return text.replace(TERMINAL_CONTROL, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** One phrase for an error message; whatever it says is safe to print on a terminal. */
export function describeHolder(holder: LockHolder): string {
  if (holder.thisProcess) return `this process itself (pid ${holder.pid})`;
  const since = holder.acquiredAt === null ? '' : ` since ${holder.acquiredAt.toISOString()}`;
  const state =
    holder.running === null
      ? `on host ${escapeControls(holder.hostname)}, not visible from here`
      : holder.running
        ? 'which is running'
        : 'which has ended';
  return `process ${holder.pid} (${escapeControls(holder.command)})${since}, ${state}`;
}
