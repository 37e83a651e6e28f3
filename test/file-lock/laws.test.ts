import { FileLock, type FileLockOptions } from '../../lib/index.js';
import { Actor } from '../support/actor.js';
import { type Contender, LocalContender, RemoteContender } from '../support/contender.js';
import { lockLaws } from '../support/lock-laws.js';

type MakePair = (path: string, options: FileLockOptions) => Promise<readonly [Contender, Contender]>;

const pairs: Record<string, MakePair> = {
  'two guards of one FileLock': async (path, options) => {
    const lock = new FileLock(path, options);
    return [new LocalContender(lock), new LocalContender(lock)];
  },
  'two FileLocks of one thread': async (path, options) => [
    new LocalContender(new FileLock(path, options)),
    new LocalContender(new FileLock(path, options)),
  ],
  'the main thread and a worker thread': async (path, options) => [
    new LocalContender(new FileLock(path, options)),
    await RemoteContender.open(await Actor.worker(), path, options),
  ],
  'two worker threads': (path, options) => {
    const open = async () => RemoteContender.open(await Actor.worker(), path, options);
    return Promise.all([open(), open()]);
  },
  'two processes': (path, options) => {
    const open = async () => RemoteContender.open(await Actor.process(), path, options);
    return Promise.all([open(), open()]);
  },
};

for (const [name, makePair] of Object.entries(pairs)) {
  for (const mechanism of ['flock', 'fcntl'] as const) {
    for (const keepOpen of [false, true]) {
      const description = `${name}, ${mechanism}${keepOpen ? ', descriptor kept open' : ''}`;
      lockLaws(description, (path) => makePair(path, { mechanism, keepOpen }));
    }
  }
}
