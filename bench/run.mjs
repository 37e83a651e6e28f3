// npm run bench [-- --quick] [--only cycles,hand-off]: see bench/README.md.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chartSvg } from './chart.mjs';
import { behaviour } from './measurements/behaviour.mjs';
import { hotLoop, loops, tasks } from './measurements/contention.mjs';
import { cycles } from './measurements/cycles.mjs';
import { handOffs } from './measurements/hand-off.mjs';
import { importAndSize } from './measurements/package.mjs';
import { cleanUp, manyLocks } from './measurements/quantity.mjs';
import { idleWaits, takeOvers, timeouts } from './measurements/waiting.mjs';
import { behaviourTable, rowsTable, verdict } from './report.mjs';
import { killAll } from './side.mjs';

const benchmarks = {
  cycles,
  tasks,
  'hand-off': handOffs,
  loops,
  'hot-loop': hotLoop,
  'idle-waits': idleWaits,
  timeouts,
  'take-over': takeOvers,
  'many-locks': manyLocks,
  'clean-up': cleanUp,
  package: importAndSize,
  behaviour,
};

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const chosen = flags.only?.split(',') ?? Object.keys(benchmarks);
const unknown = chosen.filter((name) => benchmarks[name] === undefined);
if (unknown.length > 0)
  throw new Error(`No such benchmark: ${unknown}. Available: ${Object.keys(benchmarks).join(', ')}`);

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const build = here('build');
const peersFolder = here('peers');

function buildFloor() {
  mkdirSync(build, { recursive: true });
  execFileSync(
    'cc',
    ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', here('floor.c'), '-o', path.join(build, 'floor')],
    {
      stdio: 'inherit',
    },
  );
}

/** Builds the bare addon if the headers of Node.js are installed; else returns null, and its figures are omitted. */
function buildBareAddon() {
  const headers = path.join(path.dirname(process.execPath), '../include/node');
  if (!existsSync(path.join(headers, 'node_api.h'))) return null;
  const output = path.join(build, 'bare.node');
  execFileSync(
    'cc',
    ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-I', headers, here('bare.c'), '-o', output],
    {
      stdio: 'inherit',
    },
  );
  return output;
}

/** Which peers are available, and why the others are not. A quick run installs nothing and needs no network. */
function preparePeers() {
  const versions = JSON.parse(readFileSync(path.join(peersFolder, 'package.json'), 'utf8')).optionalDependencies;
  if (!flags.quick && !existsSync(path.join(peersFolder, 'node_modules'))) {
    console.log('Installing the peers (only once) …');
    try {
      execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--silent'], {
        cwd: peersFolder,
        stdio: ['ignore', 'ignore', 'inherit'],
        timeout: 120_000,
      });
    } catch (error) {
      console.log(`The peers could not be installed: ${error.message}`);
    }
  }
  const peers = {};
  for (const [name, version] of Object.entries(versions)) {
    let state = 'not installed, or failed to build';
    if (existsSync(path.join(peersFolder, 'node_modules', name))) {
      try {
        execFileSync(process.execPath, ['-e', `require(${JSON.stringify(name)})`], {
          cwd: peersFolder,
          stdio: ['ignore', 'ignore', 'pipe'],
          timeout: 10_000,
        });
        state = null;
      } catch (error) {
        state = `does not load: ${error.message.split('\n').find((line) => line.includes('Error:')) ?? error.message}`;
      }
    }
    peers[name] = { version, missing: state };
  }
  try {
    const version = execFileSync('python3', ['--version'], { encoding: 'utf8' }).trim().replace('Python ', '');
    peers.python = { version, missing: null };
  } catch {
    peers.python = { version: '', missing: 'python3 is not installed' };
  }
  return peers;
}

const require = (file) => JSON.parse(readFileSync(here(file), 'utf8'));
const begin = performance.now();
buildFloor();
const bareAddon = buildBareAddon();
const peers = preparePeers();
const available = Object.keys(peers).filter((name) => peers[name].missing === null);
const machine = {
  date: new Date().toISOString().slice(0, 10),
  quick: flags.quick,
  processor: `${os.cpus().length} × ${os.cpus()[0]?.model}`,
  system: `${os.type()} ${os.release()} ${os.arch()}`,
  load: os.loadavg()[0].toFixed(2),
  node: process.version,
  compiler: execFileSync('cc', ['--version'], { encoding: 'utf8' }).split('\n')[0],
  package: require('../package.json').version,
  peers: Object.fromEntries(
    Object.entries(peers).map(([name, { version, missing }]) => [name, missing === null ? version : missing]),
  ),
};
for (const [name, value] of Object.entries(machine)) {
  console.log(
    `${name}: ${
      typeof value === 'object'
        ? Object.entries(value)
            .map((pair) => pair.join(' '))
            .join(', ')
        : value
    }`,
  );
}
console.log();

const scratch = mkdtempSync(path.join(os.tmpdir(), 'native-file-lock-bench-'));
process.once('exit', () => {
  killAll();
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const rows = [];
const charts = [];
let behaviours = {};
const failures = [];
for (const name of chosen) {
  const start = performance.now();
  const folder = path.join(scratch, name);
  mkdirSync(folder);
  try {
    const result = await benchmarks[name]({
      scratch: folder,
      quick: flags.quick,
      peers: available.filter((peer) => peer !== 'async-mutex'),
      hasBare: bareAddon !== null,
      hasAsyncMutex: available.includes('async-mutex'),
    });
    for (const row of result.rows ?? []) rows.push({ ...row, met: verdict(row) });
    charts.push(...(result.charts ?? []));
    behaviours = { ...behaviours, ...result.behaviour };
  } catch (error) {
    failures.push(`${name}: ${error.stack}`);
  }
  console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

if (rows.length > 0) console.log(`\n${rowsTable(rows)}`);
if (Object.keys(behaviours).length > 0) console.log(`\n${behaviourTable(behaviours)}`);
// Only complete runs update the results that are kept with the sources.
const results = flags.quick || flags.only ? build : here('.');
writeFileSync(
  path.join(results, 'results.json'),
  `${JSON.stringify({ machine, rows, behaviour: behaviours }, null, 2)}\n`,
);
writeFileSync(path.join(results, 'chart.svg'), chartSvg(charts));
console.log(
  `\n${((performance.now() - begin) / 1000).toFixed(0)} s; ${path.relative('.', results) || '.'}/results.json, chart.svg`,
);
for (const failure of failures) console.error(`\nFAILED ${failure}`);
if (failures.length > 0) process.exitCode = 1;
