// What happens to a thread besides its attempts.
const { spawn } = require('node:child_process');
const { closeSync, openSync } = require('node:fs');
const { once } = require('node:events');
const { ifFree } = require('./gate.cjs');

const BURST = 20;
const WAITS = 40;
const CHILDREN = 8;

/** Blocks the thread. */
function spin(milliseconds) {
  const end = process.hrtime.bigint() + BigInt(Math.round(milliseconds * 1e6));
  while (process.hrtime.bigint() < end);
}

/** Many attempts at once. */
async function burst(contender) {
  contender.log.event('bursts');
  await Promise.all(Array.from({ length: BURST }, () => contender.attempt()));
}

/** Many waits for one lock; two of three are aborted at once, or a little later. */
async function abortStorm(contender) {
  const { random, log } = contender;
  log.event('abort storms');
  const target = random.pick(contender.targets.all);
  const lock = target.fileLock(random);
  const controllers = Array.from({ length: WAITS }, () => new AbortController());
  const waits = controllers.map(({ signal }) => contender.attemptWithSignal(target, lock, signal));
  if (random.oneIn(2)) await new Promise(setImmediate);
  for (const controller of controllers) if (!random.oneIn(3)) controller.abort(new Error('aborted'));
  await Promise.all(waits);
}

/** Attempts while the process has no descriptor left. */
const descriptorStorm = (contender) =>
  ifFree(contender.gate, async () => {
    contender.log.event('descriptor storms');
    const files = [];
    try {
      for (;;) files.push(openSync('/dev/null'));
    } catch {}
    try {
      for (let attempt = 0; attempt < 4; attempt++) await contender.attempt();
    } finally {
      for (const file of files) closeSync(file);
    }
  });

/** Children that have a copy of every descriptor between fork and exec, while other attempts go on. */
async function spawnStorm(contender) {
  contender.log.event('spawn storms');
  const children = Array.from({ length: CHILDREN }, () => spawn('true', { stdio: 'ignore' }));
  const ends = children.map((child) =>
    // A process without descriptors cannot start a child.
    once(child, 'exit').catch((error) => error.code !== 'EMFILE' && contender.unexpected('spawn', error)),
  );
  await Promise.all([...ends, contender.attempt(), contender.attempt()]);
}

async function stall(contender) {
  contender.log.event('stalls');
  spin(50);
}

/** Removes the lock files that nobody holds, whatever their age. */
async function cleanUp(contender) {
  const manager = contender.random.pick(Object.values(contender.targets.managers));
  const { signal } = new AbortController();
  await contender.settle('cleanupStaleLocks', signal, async () => {
    const { length } = await manager.cleanupStaleLocks({ maxAge: 0 });
    contender.log.event('clean-ups');
    contender.log.event('files cleaned up', length);
  });
}

async function inspect(contender) {
  const target = contender.random.pick(contender.targets.all);
  const { signal } = new AbortController();
  await contender.settle('inspect', signal, async () => {
    target.fileLock(contender.random).inspect();
    contender.log.event('inspections');
  });
}

const STORMS = [burst, abortStorm, descriptorStorm, spawnStorm, stall, cleanUp, cleanUp, inspect];

/** Now and then begins a storm. */
function randomStorm(contender) {
  return contender.random.oneIn(40) ? contender.random.pick(STORMS)(contender) : undefined;
}

module.exports = { randomStorm, spin };
