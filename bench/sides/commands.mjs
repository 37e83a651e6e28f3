import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** The clock of all sides: CLOCK_MONOTONIC in nanoseconds. A double represents three months of it exactly. */
export const now = () => Number(process.hrtime.bigint());

export const reply = (...numbers) => writeSync(1, `${numbers.join(' ')}\n`);

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread. */
export function sleep(nanoseconds) {
  if (nanoseconds > 0) Atomics.wait(cell, 0, 0, nanoseconds / 1e6);
}

/** Answers each line of standard input with the result of its command; exits at the end of input. */
export function serve(commands) {
  const input = createInterface({ input: process.stdin });
  input.on('line', async (line) => {
    const [command, path, ...numbers] = line.split(' ');
    const answer = await (command === 'ready' ? 0 : commands[command](path, ...numbers.map(Number)));
    if (answer !== undefined) reply(...[answer].flat());
  });
  input.on('close', () => process.exit());
}

/** The duration of a loop of `count` turns. */
export async function time(count, turn) {
  const start = now();
  for (let i = 0; i < count; i++) await turn();
  return now() - start;
}
