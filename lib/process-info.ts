import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

const INTERPRETER = /^(node|nodejs|bun|deno|python[\d.]*|ruby|perl|php|bash|dash|sh|zsh)$/;
const SCRIPT = /\.([cm]?[jt]sx?|py|rb|pl|php|sh)$/;

/** The executable and its script, out of the arguments of a process; the others can hold secrets. */
export function commandOf(args: readonly string[]): string {
  const [first = '', ...rest] = args;
  const executable = path.basename(first);
  if (!INTERPRETER.test(executable)) return executable;
  // An option's value can be code (`-e`), so a later argument must look like a script's name.
  const script = rest[0]?.startsWith('-') === false ? rest[0] : rest.find((argument) => SCRIPT.test(argument));
  return script === undefined ? executable : `${executable} ${script}`;
}

/** The command of a process of this pid namespace; null when there is no such process (proc(5), cmdline). */
export function commandOfProcess(pid: number): string | null {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    // A zombie and a kernel thread have no arguments, but a name.
    return commandOf(args) || readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return null;
  }
}

/** PROC_PID_INIT_INO: the kernel gives the first pid namespace this number, on every machine. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/** Whether every process of the machine has a number that is known here (pid_namespaces(7)). */
export function seesEveryProcess(): boolean {
  try {
    return readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE;
  } catch {
    return false;
  }
}
