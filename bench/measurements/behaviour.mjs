import { setTimeout as delay } from 'node:timers/promises';
import { show } from '../figures.mjs';
import { NoAnswer, peerSide } from '../side.mjs';

/**
 * How the other packages behave where locks tend to fail. Timing does not matter here: all of these run
 * concurrently, each in processes of its own, which are killed if they do not answer.
 */
export async function behaviour({ scratch, quick, peers }) {
  const grantLimit = quick ? 2000 : 17_000;
  const stoppedFor = quick ? 1500 : 17_000;
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

  async function holdTwice(side, path) {
    return (await side().ask('holdTwice', path)) === 1 ? 'two holders' : 'excluded';
  }
  async function readDuringWaits(side, path) {
    await side().ask('hold', path);
    const waiter = side();
    await waiter.ask('ready');
    waiter.send('readDuringWaits', path);
    const [time] = await waiter.receive(2000);
    return `${show(time / 1e6)} ms`;
  }
  async function exit(side, path) {
    await side().ask('hold', path);
    const waiter = side();
    await waiter.ask('exitDuringWait', path);
    const ended = await Promise.race([waiter.exited.then(() => true), delay(2000, false)]);
    return ended ? 'ends' : 'hangs until granted';
  }
  async function kill(side, path) {
    const holder = side();
    const waiter = side();
    await holder.ask('hold', path);
    await waiter.ask('wait', path);
    await delay(50);
    const killed = Number(process.hrtime.bigint());
    holder.kill();
    const [granted] = await waiter.receive(grantLimit);
    return `after ${seconds(granted - killed)}`;
  }
  async function stop(side, path) {
    const holder = side();
    const waiter = side();
    await holder.ask('hold', path);
    await waiter.ask('wait', path);
    await delay(50);
    holder.kill('SIGSTOP');
    const granted = await waiter.receive(stoppedFor).then(
      () => true,
      () => false,
    );
    return granted ? 'two holders: the lock was stolen' : 'keeps the lock';
  }

  const columns = {
    'second handle in one process': [holdTwice],
    'fs.readFile during 4 waits': [readDuringWaits, 'blocked by the waits'],
    'process.exit() during a wait': [exit],
    'holder killed: next grant': [kill, `none within ${grantLimit / 1000} s`],
    [`holder stopped for ${stoppedFor / 1000} s`]: [stop],
  };
  const table = await Promise.all(
    peers.map(async (name) => {
      const cells = await Promise.all(
        Object.entries(columns).map(async ([column, [test, otherwise]]) => {
          // Python's module is a blocking loop, not a package: these questions do not apply to it.
          if (name === 'python' && test !== kill && test !== stop) return [column, '–'];
          return [column, await check(name, test, otherwise)];
        }),
      );
      return [name, Object.fromEntries(cells)];
    }),
  );
  return { behaviour: Object.fromEntries(table) };
}
