// Removals and re-creations within one tick of the server's clock. NFSv3 tells a change of a directory by the time
// of its last change (RFC 1813, section 3.3.3), and knfsd's clock for it ticks every 4 to 10 ms: a client that looked
// a name up in the same tick in which the name changed cannot see by that time that it did.
const fs = require('node:fs');
const path = require('node:path');
const { FileLock, JobLockManager } = require('../../..');

/** In nanoseconds, on the server itself. */
const changeTime = (directory) => fs.statSync(directory, { bigint: true }).ctimeNs;

const inode = (file) => fs.statSync(file).ino;

/**
 * One round. One process plays both machines: `here` and `there` are the same directory by the mounts of two clients,
 * `exported` is it on the server. Null when the round took more than one tick.
 */
async function round({ here, there, exported }, number, { keepOpen, mechanism, rival }) {
  const job = (directory) => path.join(directory, `tick-${mechanism}-${rival}-${number}`, 'job');
  const [mine, theirs, onServer] = [here, there, exported].map(job);
  const name = '.lock';
  fs.mkdirSync(mine, { recursive: true });

  // The other client knows the file, and asks for the directory's attributes when this lock is verified.
  const other = new FileLock(path.join(theirs, name), { keepOpen, mechanism });
  other.tryAcquire().release();
  const beside = new FileLock(path.join(theirs, 'beside')).tryAcquire();
  // As a process with `keepOpen` would: the removed file lives on, so that no ESTALE tells of its removal.
  const kept = fs.openSync(path.join(mine, name), 'r+');
  const lock = new FileLock(path.join(mine, name), { mechanism });
  const holder = lock.tryAcquire();

  const last = changeTime(onServer);
  for (let change = 0; changeTime(onServer) === last; change++)
    fs.writeFileSync(path.join(mine, `change-${change}`), '');
  const tick = changeTime(onServer);
  beside.verify();
  inode(path.join(theirs, name));
  fs.unlinkSync(lock.path);
  holder.release();
  const next = lock.tryAcquire();
  const withinOneTick = changeTime(onServer) === tick;

  const locked = inode(path.join(onServer, name));
  let second = null;
  if (rival === 'clean-up') await new JobLockManager(path.dirname(theirs)).cleanupStaleLocks({ maxAge: 0 });
  else second = other.tryAcquire();
  const found = {
    withinOneTick,
    twoHolders: next !== null && second !== null,
    heldFileRemoved: !fs.existsSync(path.join(onServer, name)) || inode(path.join(onServer, name)) !== locked,
  };
  for (const guard of [second, next, beside]) guard?.release();
  other.close();
  fs.closeSync(kept);
  return found;
}

/** Counts rounds for so many seconds, at most 500 of each kind. */
async function oneTick(directories, seconds) {
  const total = { rounds: 0, withinOneTick: 0, twoHolders: 0, heldFilesRemoved: 0 };
  const kinds = ['flock', 'fcntl'].flatMap((mechanism) =>
    ['a kept descriptor', 'a new one', 'clean-up'].map((rival) => ({
      mechanism,
      rival,
      keepOpen: rival === 'a kept descriptor',
    })),
  );
  for (const kind of kinds) {
    const end = performance.now() + (seconds * 1000) / kinds.length;
    for (let number = 0; number < 500 && performance.now() < end; number++) {
      const { withinOneTick, twoHolders, heldFileRemoved } = await round(directories, number, kind);
      total.rounds++;
      if (withinOneTick) total.withinOneTick++;
      if (twoHolders) total.twoHolders++;
      if (heldFileRemoved) total.heldFilesRemoved++;
    }
  }
  return total;
}

module.exports = { oneTick };
