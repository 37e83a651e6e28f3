// A process on one of the machines of the guest, driven by commands (test/fixtures/actor.cjs).
const { fork } = require('node:child_process');
const path = require('node:path');

const FIXTURE = path.join(__dirname, '../../fixtures/actor.cjs');

/** `machine`: the command that enters it, in words; none is the server itself. */
async function startClient(machine = []) {
  const [execPath, ...execArgv] = [...machine, process.execPath];
  const child = fork(FIXTURE, { execPath, execArgv, serialization: 'advanced' });
  const pending = new Map();
  let last = 0;
  child.on('message', ({ id, value, error }) => {
    const { resolve, reject } = pending.get(id) ?? {};
    pending.delete(id);
    if (error) reject?.(Object.assign(new Error(error.message), error));
    else resolve?.(value);
  });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  await new Promise((resolve) => child.once('message', resolve));
  const call = (command, args = {}) => {
    const id = ++last;
    const answer = new Promise((resolve, reject) => pending.set(id, { resolve, reject }));
    answer.catch(() => {});
    child.send({ id, command, args });
    return answer;
  };
  return {
    pid: child.pid,
    ended,
    call,
    /** Runs a function in the process; it sees `require`, the guards by name and its argument. */
    run: (body, argument) => call('evaluate', { code: `return (${body})(require, guards, argument)`, argument }),
    /** Whether the lock was free; the guard is known by `guard`. */
    async tryAcquire(file, { guard = file, options = {}, mode = 'exclusive' } = {}) {
      const lock = `${file} ${JSON.stringify(options)}`;
      await call('open', { lock, path: file, options });
      return call('tryAcquire', { lock, guard, options: { mode } });
    },
    async acquire(file, { guard = file, options = {}, abort, ...acquire } = {}) {
      const lock = `${file} ${JSON.stringify(options)}`;
      await call('open', { lock, path: file, options });
      return call('acquire', { lock, guard, options: acquire, abort });
    },
    release: (guard) => call('release', { guard }),
    async inspect(file) {
      await call('open', { lock: file, path: file });
      return call('inspect', { lock: file });
    },
    clean: (directory) =>
      call('evaluate', {
        code: `const { JobLockManager } = require('../..');
          return new JobLockManager(argument).cleanupStaleLocks({ maxAge: 0 }).then((removed) => removed.length);`,
        argument: directory,
      }),
    kill: () => child.kill('SIGKILL'),
  };
}

module.exports = { startClient };
