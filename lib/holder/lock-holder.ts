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
