// Plants the faults of faults.mjs into a copy of the tree, one at a time, and tells which test notices each:
//
//   node test/mutation/run.mjs [name…]                       those, or all
//   node test/mutation/run.mjs --sample 3 [--seed text]      some of them; the seed is the commit's by default
//
// A fault is caught when one of the tests that are named with it fails or hangs, or else when any other fails. A run of
// all tests that only hangs catches nothing: no test tells why. Exits with 1 if a fault survives, and if a list or the
// tree without any fault is not as it should be.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../scripts/prebuilds.mjs';
import { faults, occurrences } from './faults.mjs';
import { Workshop } from './workshop.mjs';

/** The longest run of all tests (ms). */
const RUN_LIMIT = 1_200_000;
/** What is added to three times the usual duration of named tests (ms). */
const LIMIT_MARGIN = 120_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'string' }, seed: { type: 'string' } },
});

const commit = () => execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();

function sample(count, seed) {
  const rank = ({ name }) => createHash('sha256').update(`${seed} ${name}`).digest('hex');
  console.log(`Seed: ${seed}`);
  return [...faults].sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, count);
}

function chosenFaults() {
  const unknown = positionals.filter((name) => !faults.some((fault) => fault.name === name));
  if (unknown.length > 0) throw new Error(`No such fault: ${unknown.join(', ')}`);
  if (values.sample !== undefined) return sample(Number(values.sample), values.seed ?? commit());
  return positionals.length === 0 ? faults : faults.filter(({ name }) => positionals.includes(name));
}

const chosen = chosenFaults();
for (const fault of chosen) {
  const count = occurrences(readFileSync(path.join(ROOT, fault.file), 'utf8'), fault);
  if (count !== 1) throw new Error(`${fault.name}: ${fault.file} has it ${count} times, and not once`);
}

const workshop = new Workshop();
const survivors = [];
try {
  const named = [...new Set(chosen.flatMap(({ tests }) => tests))];
  const healthy = await workshop.runTests(named, RUN_LIMIT);
  if (!healthy.passed) throw new Error(`Without any fault, this fails: ${healthy.failure}`);
  console.log(`Without a fault ${named.length} files of tests pass, in ${healthy.seconds} s`);

  for (const fault of chosen) {
    const started = performance.now();
    const usual = fault.tests.reduce((sum, file) => sum + healthy.durations.get(file), 0);
    workshop.plant(fault);
    let result = await workshop.runTests(fault.tests, 3 * usual + LIMIT_MARGIN);
    let caught = !result.passed;
    let where = '';
    if (!caught) {
      result = await workshop.runTests([], RUN_LIMIT);
      caught = !result.passed && !result.hung;
      where = ', which is not among those named';
    }
    workshop.heal(fault);
    if (!caught) survivors.push(fault);
    const verdict = caught ? `caught by ${result.failure}${where}` : `SURVIVED. ${fault.why}`;
    console.log(`${fault.name}: ${verdict} (${Math.round((performance.now() - started) / 1000)} s)`);
  }
} finally {
  workshop.remove();
}
console.log(`${chosen.length - survivors.length} of ${chosen.length} faults were caught`);
if (survivors.length > 0) process.exitCode = 1;
