// The files of macOS, over Linux: builds a copy of the tree with native/darwin and a shim in the place of native/linux,
// and runs the suites of file locks and jobs, or those files of test/ that are named:
//
//   node test/darwin-shim/run.mjs [file-lock/sync.test.ts …]
//
// The shim gives the calls of macOS the meaning that they have there, as far as it is known; its kernel is Linux. So
// this runs the logic of those files, and not the system. Then faults are planted in them, which must be noticed.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Workshop } from '../mutation/workshop.mjs';
import { excluded } from './excluded.mjs';

const CONFIG = 'test/darwin-shim/vitest.config.mjs';
/** How long the tests may take that are to notice a fault, and twice as long as each of them (ms). */
const FAULT_LIMIT = 60_000;

const faults = [
  {
    name: 'an alarm does not ring',
    file: 'native/darwin/alarm.cc',
    find: 'if (timer->is_armed_) pthread_kill(timer->thread_, kAlarmSignal);',
    replace: '',
    tests: 'darwin-shim/macos.test.ts',
  },
  {
    name: 'whoever parks is not woken',
    file: 'native/darwin/threads.cc',
    find: 'pthread_cond_broadcast(&place->unparked);',
    replace: '',
    tests: 'file-lock/timeout.test.ts',
  },
  {
    name: 'locks of the other mechanism are not expected to conflict',
    file: 'native/darwin/files.cc',
    find: 'bool MechanismsExclude() { return true; }',
    replace: 'bool MechanismsExclude() { return false; }',
    tests: 'darwin-shim/macos.test.ts',
  },
  {
    name: 'the addon is unloaded under its threads',
    file: 'native/darwin/threads.cc',
    find: 'dlopen(image.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);',
    replace: '',
    tests: 'file-lock/worker-threads.test.ts',
  },
];

/** What is wrong with a run of the suites. */
function runSuites(root, files) {
  const report = path.join(root, 'suites.json');
  const paths = files.map((file) => `test/${file}`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const args = ['node_modules/vitest/vitest.mjs', 'run', `--config=${CONFIG}`, ...paths, ...reporters];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  const tests = JSON.parse(readFileSync(report, 'utf8')).testResults.flatMap((file) => file.assertionResults);
  const count = (name) => tests.filter((test) => test.fullName.trim() === name).length;
  const unknown = Object.keys(excluded).filter((name) => files.length === 0 && count(name) !== 1);
  for (const [name, reason] of Object.entries(excluded)) console.log(`Excluded: ${name}\n  ${reason}`);
  const complaints = unknown.map((name) => `There is no such test, or more than one: ${name}`);
  return status === 0 ? complaints : [...complaints, 'Tests have failed'];
}

async function survives(workshop, fault) {
  workshop.plant(fault);
  const { passed, failure, seconds } = await workshop.runTests([fault.tests], FAULT_LIMIT);
  workshop.heal(fault);
  console.log(`Planted: ${fault.name}\n  ${passed ? 'SURVIVES' : `noticed by ${failure}`}, in ${seconds} s`);
  return passed;
}

const files = process.argv.slice(2);
const workshop = new Workshop({ binding: 'test/darwin-shim/binding.gyp', config: CONFIG });
try {
  const complaints = runSuites(workshop.root, files);
  for (const fault of files.length === 0 ? faults : []) {
    if (!readFileSync(fault.file, 'utf8').includes(fault.find)) complaints.push(`${fault.file} has no ${fault.find}`);
    else if (await survives(workshop, fault)) complaints.push(`Not noticed: ${fault.name}`);
  }
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exitCode = 1;
} finally {
  workshop.remove();
}
