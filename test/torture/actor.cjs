// A process of contending threads: its main thread, and workers that are terminated and replaced. Argument:
// a JSON text, see campaign.mjs. At the end of its life it exits amid everything, or it ends in order and must then
// have no more descriptors and threads than at the start.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { readdirSync, readFileSync, readlinkSync, writeSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');
const { Contender } = require('./contender.cjs');
const { newGate, through } = require('./gate.cjs');
const { LogWriter, writeEnd } = require('./log.cjs');
const { derive, Random } = require('./random.cjs');
const { loadEverything, Targets } = require('./targets.cjs');

/** The threads that may remain: 256 parked ones and the one that polls, and four of libuv's pool. */
const MOST_MORE_THREADS = 256 + 1 + 4;
const SETTLE_MS = 5_000;
/** The last part of a life, in which no worker is replaced, and with which an abrupt exit does away. */
const LAST_NS = 300_000_000n;

/** A thread of its own: `thread` is its number in this process. */
async function contend(config, thread, gate) {
  const name = `${config.process}-${thread}`;
  await loadEverything(path.join(config.logs, `${name}.loading`));
  const log = new LogWriter(path.join(config.logs, `${name}.log`));
  const targets = new Targets(config);
  const random = new Random(derive(config.seed, thread));
  const { unlocked, removes } = config;
  const contender = new Contender({ name, log, targets, random, gate, unlocked, removes });
  return { contender, ended: contender.run(BigInt(config.end)).then(() => targets.close()) };
}

/** What the descriptors of this process refer to, without the numbers of sockets and pipes. */
function descriptors() {
  const links = readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).replace(/:\[\d+\]$/, '');
    } catch {
      return []; // the one that was used to read the directory
    }
  });
  return links.sort();
}

/** The elements of a sorted list that are not in the other. */
function more(list, other) {
  const left = [...other];
  return list.filter((each) => {
    const index = left.indexOf(each);
    if (index !== -1) left.splice(index, 1);
    return index === -1;
  });
}

const threads = () => Number(/^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]);

/** Keeps a number of workers running, and terminates some. */
class Workers {
  #running = new Map();
  #started = 0;

  constructor(config, gate, contender) {
    Object.assign(this, { config, gate, contender });
  }

  async start() {
    const { config, gate } = this;
    const thread = ++this.#started;
    await through(gate, async () => {
      const worker = new Worker(__filename, { workerData: { config, thread, gate } });
      worker.on('error', (error) => this.contender.unexpected('a worker', error));
      const ended = once(worker, 'exit').catch(() => {});
      this.#running.set(thread, { worker, ended });
      await Promise.race([once(worker, 'message').catch(() => {}), ended]); // it has loaded its modules
    });
  }

  /** Terminates a worker, and starts another. */
  async replaceOne(random) {
    const [thread, { worker, ended }] = random.pick([...this.#running]);
    await through(this.gate, async () => {
      writeEnd(path.join(this.config.logs, `${this.config.process}-${thread}.end`));
      await worker.terminate();
      await ended;
    });
    this.#running.delete(thread);
    this.contender.log.event('terminated workers');
    await this.start();
  }

  async allEnded() {
    await Promise.all(Array.from(this.#running.values(), ({ ended }) => ended));
  }
}

/** Reports what is left when all is done: descriptors of lock files, and any beyond those of the start. */
async function reportLeaks(before) {
  const deadline = performance.now() + SETTLE_MS;
  let leaked;
  do {
    await delay(20); // what has just been closed or killed may take a moment
    leaked = more(descriptors(), before.descriptors);
  } while (leaked.length > 0 && performance.now() < deadline);
  const grown = threads() - before.threads;
  if (leaked.length > 0 || grown > MOST_MORE_THREADS) {
    writeSync(2, `${JSON.stringify({ leak: { descriptors: leaked, threads: grown } })}\n`);
  }
}

async function main(config) {
  const random = new Random(derive(config.seed, -1));
  // Node opens descriptors for children once and keeps them.
  await once(spawn('true', { stdio: 'ignore' }), 'exit');
  const gate = newGate();
  const before = { descriptors: descriptors(), threads: threads() };
  const { contender, ended } = await contend(config, 0, gate);
  process.on('warning', (warning) => contender.unexpected('a warning', warning));
  const workers = new Workers(config, gate, contender);
  for (let worker = 0; worker < config.workers; worker++) await workers.start();

  const last = BigInt(config.end) - LAST_NS;
  while (process.hrtime.bigint() < last) {
    await delay(100 + random.below(500));
    if (config.workers > 0 && random.oneIn(3)) await workers.replaceOne(random);
  }
  if (config.exitsAbruptly) {
    await through(gate, () => {
      contender.log.event('abrupt exits');
      writeEnd(path.join(config.logs, `${config.process}.end`));
      process.exit();
    });
  }
  await workers.allEnded();
  await ended;
  contender.log.event('surviving processes');
  contender.log.close();
  await reportLeaks(before);
}

if (isMainThread) main(JSON.parse(process.argv[2]));
else contend(workerData.config, workerData.thread, workerData.gate).then(() => parentPort.postMessage('ready'));
