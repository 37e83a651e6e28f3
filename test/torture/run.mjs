// Tortures the locks: processes and threads that acquire the same locks in every way, while they are killed,
// stopped, slowed down, and kept from descriptors, and while lock files are removed. Two detectors look for
// two holders at once: overlapping intervals of the monotonic clock, and lost updates of a counter. First a
// control, in which 2 % of the possessions do not lock, shows that both detectors notice.
//
//   npm run torture -- --minutes 3 --seed 7
//
//   --minutes N      how long (default 1); the control takes some seconds more
//   --seed S         of all random choices (default: the time); the machine adds its own
//   --control        the control alone
//   --directory DIR  where the lock files are made (default: the directory for temporary files)
//   --logs DIR       where logs and counters are made (default: the same)
//   --through CMD    starts processes through a command that executes its arguments, such as
//                    'nsenter -t 12 -n -m'; can be repeated: the processes take them in turn
//   --report FILE    writes the report, as JSON
//
// Exit status 1: something was found, or the control was not noticed.
import { readFileSync, statfsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from './campaign.mjs';

const CONTROL_SECONDS = 5;
const MOST_CONTROLS = 5; // on a very slow machine one may be too short
const CONTROL_FRACTION = 0.02;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 32}` },
    control: { type: 'boolean', default: false },
    directory: { type: 'string', default: os.tmpdir() },
    logs: { type: 'string', default: os.tmpdir() },
    through: { type: 'string', multiple: true, default: [] },
    report: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0)) throw new TypeError(`--minutes must be a positive number. Received ${values.minutes}`);
if (!Number.isSafeInteger(seed)) throw new TypeError(`--seed must be an integer. Received ${values.seed}`);
const campaign = { seed, directory: values.directory, logs: values.logs, through: values.through };

/** Possessions that do not lock must be noticed by both detectors. */
async function control() {
  const violations = { overlaps: 0, lostUpdates: 0 };
  const hangs = [];
  let runs = 0;
  while (runs < MOST_CONTROLS && Object.values(violations).includes(0)) {
    const result = await run({
      ...campaign,
      seed: seed + runs++,
      seconds: CONTROL_SECONDS,
      unlocked: CONTROL_FRACTION,
    });
    hangs.push(...result.hangs); // without the lock, too, every process must end
    for (const detector of Object.keys(violations)) violations[detector] += result.violations[detector];
  }
  return { noticed: !Object.values(violations).includes(0), runs, ...violations, hangs };
}

function environment() {
  const { version } = JSON.parse(readFileSync(path.join(import.meta.dirname, '../../package.json'), 'utf8'));
  return {
    date: new Date().toISOString(),
    versions: { 'native-file-lock': version, node: process.version },
    machine: {
      kernel: `${os.type()} ${os.release()} ${os.arch()}`,
      processors: os.availableParallelism(),
      model: os.cpus()[0]?.model,
      memory: os.totalmem(),
      fileSystem: `0x${statfsSync(values.directory).type.toString(16)}`,
    },
  };
}

const report = { seed, minutes: values.control ? 0 : minutes, ...environment(), control: await control() };
if (!values.control) Object.assign(report, await run({ ...campaign, seconds: 60 * minutes, unlocked: 0 }));
if (values.report) writeFileSync(values.report, `${JSON.stringify(report, null, 2)}\n`);
console.log(JSON.stringify(report, null, 2));
if (!report.control.noticed || report.control.hangs.length > 0 || report.clean === false) {
  console.error(`Found something; run again with --seed ${seed}`);
  process.exitCode = 1;
}
