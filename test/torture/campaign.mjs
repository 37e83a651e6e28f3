// Runs actors (actor.cjs) for some time; kills, stops and replaces them; then checks their logs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const require = createRequire(import.meta.url);
const { check } = require('./check.cjs');
const { writeEnd } = require('./log.cjs');
const { derive, Random } = require('./random.cjs');
const { LOCK_NAMES } = require('./targets.cjs');

const ACTOR = path.join(import.meta.dirname, 'actor.cjs');
const PROCESSES = 6;
const DESCRIPTORS = 200;
const LONGEST_LIFE_MS = 10_000;
const NICE_LEVELS = [0, 0, 5, 10];
/** The time that processes have to end by themselves, on the slowest of machines. */
const GRACE_MS = 30_000;
const MOST_EXAMPLES = 10;

const now = () => process.hrtime.bigint();

/** What is known of a process that does not end, from proc(5). */
function stateOf(pid) {
  const read = (name) => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'latin1').trim();
    } catch (error) {
      return error.code;
    }
  };
  const tasks = readdirSync(`/proc/${pid}/task`).map((task) => ({
    state: read(`task/${task}/stat`).replace(/.*\) (\w).*/, '$1'),
    systemCall: read(`task/${task}/syscall`),
    waitsIn: read(`task/${task}/wchan`),
  }));
  return { pid, status: read('status').split('\n').slice(0, 3), stack: read('stack'), tasks };
}

/** The actors of a campaign. */
class Actors {
  counts = { processes: 0, kills: 0, stops: 0 };
  crashes = [];
  #running = new Map();

  constructor(campaign, random, places, end) {
    Object.assign(this, { campaign, random, places, end });
  }

  get pids() {
    return [...this.#running.keys()];
  }

  start() {
    const { seed, unlocked, through } = this.campaign;
    const { random } = this;
    const number = this.counts.processes++;
    const lifeEnd = now() + BigInt(1_000 + random.below(LONGEST_LIFE_MS)) * 1_000_000n;
    const config = {
      ...this.places,
      process: number,
      seed: derive(seed, number),
      end: `${lifeEnd < this.end ? lifeEnd : this.end}`,
      exitsAbruptly: random.oneIn(3),
      workers: random.below(3),
      unlocked,
      removes: unlocked === 0,
    };
    const prefix = through.length === 0 ? [] : through[number % through.length].split(' ');
    const command = ['nice', '-n', `${random.pick(NICE_LEVELS)}`, ...prefix, process.execPath, ACTOR];
    const output = openSync(path.join(this.places.logs, `${number}.stderr`), 'a');
    // Each command executes the next one: the process has the pid that is killed.
    const child = spawn('sh', ['-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'sh', ...command, JSON.stringify(config)], {
      stdio: ['ignore', 'ignore', output],
    });
    closeSync(output);
    const actor = { child, number, killed: false };
    child.on('exit', (code, signal) => {
      this.#running.delete(child.pid);
      if (code !== 0 && !actor.killed) this.crashes.push({ process: number, code, signal });
      if (now() < this.end - 1_000_000_000n) this.start();
    });
    this.#running.set(child.pid, actor);
  }

  /** Kills or stops one of them. */
  harm() {
    const { random } = this;
    if (this.#running.size === 0) return;
    const { child } = this.#running.get(random.pick(this.pids));
    const [kills, stops, pause] = [random.oneIn(4), random.oneIn(2), random.below(200)];
    if (kills) this.#kill(child.pid);
    else if (stops && child.kill('SIGSTOP')) {
      this.counts.stops++;
      setTimeout(() => this.#running.has(child.pid) && process.kill(child.pid, 'SIGCONT'), pause);
    }
  }

  /** Kills those that have not ended after the grace; returns what they were doing. */
  async allEnded() {
    const deadline = performance.now() + GRACE_MS;
    while (this.#running.size > 0 && performance.now() < deadline) await delay(20);
    const hangs = this.pids.map(stateOf);
    for (const [pid, { child }] of this.#running) {
      this.#kill(pid);
      await once(child, 'exit');
    }
    return hangs;
  }

  #kill(pid) {
    const actor = this.#running.get(pid);
    writeEnd(path.join(this.places.logs, `${actor.number}.end`));
    actor.killed = actor.child.kill('SIGKILL');
    if (actor.killed) this.counts.kills++;
  }
}

/** What the actors wrote to their standard error streams: findings, and anything else that Node said. */
function readFindings(logs) {
  const findings = { unexpectedErrors: {}, errors: [], leaks: [], output: [] };
  for (const name of readdirSync(logs).filter((each) => each.endsWith('.stderr'))) {
    for (const line of readFileSync(path.join(logs, name), 'utf8').split('\n')) {
      const isFinding = /^\{"(unexpected|leak)":.*\}$/.test(line);
      const { unexpected, leak } = isFinding ? JSON.parse(line) : {};
      if (unexpected) {
        const kind = [unexpected.where, unexpected.code ?? unexpected.name, unexpected.syscall]
          .filter(Boolean)
          .join(' ');
        findings.unexpectedErrors[kind] = (findings.unexpectedErrors[kind] ?? 0) + 1;
        if (findings.unexpectedErrors[kind] <= 2) findings.errors.push(unexpected);
      } else if (leak) findings.leaks.push({ process: name, ...leak });
      else if (line !== '' && findings.output.length < 5 * MOST_EXAMPLES) findings.output.push(line);
    }
  }
  findings.errors = findings.errors.slice(0, MOST_EXAMPLES);
  return findings;
}

/**
 * Runs one campaign. `seconds`, `seed`; `directory`: where the lock files are; `logs`: where everything else
 * is; `through`: commands that execute the actors, in turn; `unlocked`: the fraction of possessions that do
 * not lock.
 */
export async function run(campaign) {
  const jobsDirectory = mkdtempSync(path.join(campaign.directory, 'torture-'));
  const logs = mkdtempSync(path.join(campaign.logs, 'torture-logs-'));
  for (const name of LOCK_NAMES) mkdirSync(path.join(jobsDirectory, name));
  const end = now() + BigInt(Math.round(campaign.seconds * 1e9));
  const random = new Random(campaign.seed);
  const actors = new Actors(campaign, random, { jobsDirectory, logs }, end);
  for (let count = 0; count < PROCESSES; count++) actors.start();
  while (now() < end) {
    await delay(20 + random.below(200));
    if (now() < end) actors.harm();
  }
  const hangs = await actors.allEnded();
  const { counts, violations } = check(logs, LOCK_NAMES);
  const found = readFindings(logs);
  rmSync(jobsDirectory, { recursive: true });
  const result = { counts: { ...actors.counts, ...counts }, violations, hangs, crashes: actors.crashes, ...found };
  const clean = isClean(result);
  if (clean || campaign.unlocked > 0) rmSync(logs, { recursive: true });
  return { clean, ...(clean ? {} : { logs }), ...result };
}

function isClean({ violations, hangs, crashes, unexpectedErrors, leaks, output }) {
  const { examples, ...kinds } = violations;
  const lists = [examples, hangs, crashes, Object.keys(unexpectedErrors), leaks, output];
  return lists.every((list) => list.length === 0) && Object.values(kinds).every((count) => count === 0);
}
