import { setTimeout as delay } from 'node:timers/promises';
import { show } from '../figures.mjs';
import { NoAnswer, peerSide } from '../side.mjs';

/**
 * How the other packages behave where locks go wrong. No times that matter: these run all at once, each
 * in processes of its own that are ended when they do not answer.
 */
export async function behaviour({ scratch, quick, peers }) {
  const patience = quick ? 2000 : 17_000;
  const stopped = quick ? 1500 : 17_000;
  const seconds = (nanoseconds) => `${show(nanoseconds / 1e9)} s`;

  async function check(name, test, otherwise) {
    const sides = [];
    const side = () => {
      const made = peerSide(name);
      sides.push(made);
      return made;
    };
    try {
      return await test(side, `${scratch}/behaviour-${name}-${sides.length}-${test.name}.lock`);
    } catch (error) {
      return error instanceof NoAnswer && otherwise ? otherwise : error.message;
    } finally {
      for (const each of sides) each.kill();
      await Promise.all(sides.map((each) => each.exited));
    }
  }

  async function twice(side, path) {
    return (await side().ask('holdTwice', path)) === 1 ? 'two holders' : 'excluded';
  }
  async function pool(side, path) {
    await side().ask('hold', path);
    const waiter = side();
    await waiter.ask('ready');
    waiter.send('readBesideWaits', path);
    const [time] = await waiter.receive(2000);
    return `${show(time / 1e6)} ms`;
  }
  async function exit(side, path) {
    await side().ask('hold', path);
    const waiter = side();
    await waiter.ask('exitBesideWait', path);
    const ended = await Promise.race([waiter.exited.then(() => true), delay(2000, false)]);
    return ended ? 'ends' : 'hangs until the grant';
  }
  async function kill(side, path) {
    const holder = side();
    const waiter = side();
    await holder.ask('hold', path);
    await waiter.ask('wait', path);
    await delay(50);
    const killed = Number(process.hrtime.bigint());
    holder.kill();
    const [granted] = await waiter.receive(patience);
    return `after ${seconds(granted - killed)}`;
  }
  async function stop(side, path) {
    const holder = side();
    const waiter = side();
    await holder.ask('hold', path);
    await waiter.ask('wait', path);
    await delay(50);
    holder.kill('SIGSTOP');
    const granted = await waiter.receive(stopped).then(
      () => true,
      () => false,
    );
    return granted ? 'two holders: the lock was stolen' : 'keeps it';
  }

  const columns = {
    'second handle of one process': [twice],
    'fs.readFile beside 4 waits': [pool, 'not while they wait'],
    'process.exit() beside a wait': [exit],
    'holder killed: next one': [kill, `not within ${patience / 1000} s`],
    [`holder stopped for ${stopped / 1000} s`]: [stop],
  };
  const table = await Promise.all(
    peers.map(async (name) => {
      const cells = await Promise.all(
        Object.entries(columns).map(async ([column, [test, otherwise]]) => {
          // The Python module is a loop, not a package: it blocks its thread and has nothing to ask here.
          if (name === 'python' && test !== kill && test !== stop) return [column, '–'];
          return [column, await check(name, test, otherwise)];
        }),
      );
      return [name, Object.fromEntries(cells)];
    }),
  );
  return { behaviour: Object.fromEntries(table) };
}
