import type { constants } from 'node:os';

/** What the actor does while the calls fail; see scenarios.ts. */
export type Scenario = 'take' | 'parents' | 'fcntl' | 'wait' | 'record' | 'release' | 'clean' | 'server' | 'verify';

/** Calls that fail, and what it comes to. All of docs/failures.md. */
export interface Row {
  scenario: Scenario;
  call: string;
  errors: (keyof typeof constants.errno)[];
  /** How many calls fail in a row; all of them, unless given. */
  times?: number;
  outcome: string;
  why?: string;
}

const ALL = Number.POSITIVE_INFINITY;

function row(scenario: Scenario, call: string, errors: string, times: number, outcome: string, why?: string): Row {
  const names = errors.split(' ') as Row['errors'];
  return {
    scenario,
    call,
    errors: names,
    outcome,
    ...(times === ALL ? {} : { times }),
    ...(why === undefined ? {} : { why }),
  };
}

export const SCENARIOS: Record<Scenario, string> = {
  take: 'Taking a free lock, by `tryAcquire`, `acquire` and `acquireSync`',
  parents: 'Taking a lock whose directory is missing',
  fcntl: "Taking a free lock with `mechanism: 'fcntl'`",
  wait: 'Waiting for a lock that is held: a timeout, an abort, `acquireSync`, and a grant after the release',
  record: 'Recording the holder',
  release: 'Releasing',
  clean: '`cleanupStaleLocks`',
  server: 'Taking a free lock on a network file system',
  verify: '`verify()` on NFS',
};

const GRANTED = 'granted';
const EACH = 'the error';

export const TABLE: Row[] = [
  row('take', 'open', 'EINTR', 3, GRANTED, 'opened again'),
  row('take', 'open', 'EACCES EROFS', 1, GRANTED, 'opened without O_CREAT: fs.protected_regular'),
  row('take', 'open', 'EACCES EROFS', 2, GRANTED, 'opened for reading only'),
  row('take', 'open', 'EACCES EROFS', ALL, EACH),
  row('take', 'open', 'ENOENT', 3, GRANTED, 'the parents are made'),
  row('take', 'open', 'ESTALE', 3, GRANTED, 'replaced on a server: opened again'),
  row('take', 'open', 'ESTALE', ALL, EACH, 'after 100 times'),
  row(
    'take',
    'open',
    'EMFILE ENFILE ENOSPC EDQUOT EIO ENOMEM EPERM ENAMETOOLONG EISDIR ELOOP ENOTDIR EOVERFLOW ETXTBSY',
    ALL,
    EACH,
  ),
  row('take', 'statx', 'EINTR', 3, GRANTED, 'asked again'),
  row('take', 'statx', 'ENOSYS EPERM', ALL, GRANTED, 'fstat and fstatat are asked: an old kernel, a sandbox'),
  row('take', 'statx', 'EIO ENOMEM EACCES', ALL, 'the error, of fstat'),
  row('take', 'statx-path', 'EINTR', 3, GRANTED, 'asked again'),
  row('take', 'statx-path', 'ENOENT ENOTDIR ESTALE', 1, GRANTED, 'the file was replaced after the grant'),
  row(
    'take',
    'statx-path',
    'EIO EACCES ELOOP ENOMEM',
    ALL,
    'the error, of stat',
    'a grant that cannot be confirmed is none',
  ),
  row('take', 'flock', 'EINTR', 3, GRANTED, 'called again'),
  row('take', 'flock', 'ESTALE', 3, GRANTED, 'replaced on a server'),
  row('take', 'flock', 'EWOULDBLOCK', ALL, 'held', '`null`, or a timeout'),
  row(
    'take',
    'flock',
    'ENOLCK EIO EINVAL EBADF EACCES ENOSYS EOPNOTSUPP',
    ALL,
    EACH,
    'never taken for a lock that is held',
  ),
  row('take', 'close', 'EINTR EIO', ALL, GRANTED, 'the descriptor is gone all the same'),
  row('parents', 'mkdir', 'EINTR', 3, GRANTED, 'called again'),
  row('parents', 'mkdir', 'ENOENT', 5, GRANTED, 'another process removed one meanwhile'),
  row('parents', 'mkdir', 'EEXIST', 1, GRANTED, 'another process made it'),
  row('parents', 'mkdir', 'EACCES EROFS ENOSPC EDQUOT EMLINK ENOMEM EPERM', ALL, EACH),
  row('fcntl', 'fcntl', 'EINTR', 3, GRANTED, 'called again'),
  row('fcntl', 'fcntl', 'EAGAIN', ALL, 'held', '`null`, or a timeout'),
  row('fcntl', 'fcntl', 'EINVAL ENOLCK EIO EBADF', ALL, EACH, 'EINVAL: a kernel before 3.15'),
  row('wait', 'flock-wait', 'EINTR', 20, 'waits on', 'a signal of the program'),
  row('wait', 'flock-wait', 'EAGAIN', ALL, 'waits on', 'polled: the file system does not wait'),
  row('wait', 'flock-wait', 'ENOLCK EIO', ALL, 'the error, of flock'),
  row(
    'wait',
    'timer_create',
    'EAGAIN ENOMEM ENOSYS EPERM',
    ALL,
    'waits on',
    'polled: nothing could end a blocking wait',
  ),
  row('wait', 'timer_settime', 'EPERM EINVAL', ALL, 'waits on', 'polled'),
  row('wait', 'pthread_create', 'EAGAIN EPERM', ALL, 'waits on', 'polled by a timer of the event loop'),
  row('record', 'pread', 'EINTR', 3, 'recorded', 'called again'),
  row('record', 'pread', 'EIO', ALL, 'not recorded', 'the lock is granted; `fencingToken` is null'),
  row('record', 'pwrite', 'EINTR', 3, 'recorded', 'called again'),
  row(
    'record',
    'pwrite',
    'ENOSPC EDQUOT EIO EFBIG EPERM',
    ALL,
    'not recorded',
    'the lock is granted; `fencingToken` is null',
  ),
  row(
    'release',
    'pwrite',
    'ENOSPC EIO',
    ALL,
    'released, with a warning',
    'the next holder is told that the lock was abandoned',
  ),
  row('release', 'flock-unlock', 'EINTR', 3, 'released', 'called again'),
  row('release', 'flock-unlock', 'ESTALE', 1, 'released', 'of a file that is gone, no lock is left'),
  row(
    'release',
    'flock-unlock',
    'EIO ENOLCK',
    1,
    'released, with a warning',
    'the file is closed, which frees the lock',
  ),
  row('clean', 'openat', 'EMFILE EACCES ENOENT ELOOP EIO', ALL, 'left', 'and the rest is cleaned'),
  row('clean', 'fstatat', 'EIO EACCES', ALL, 'left'),
  row('clean', 'flock', 'EWOULDBLOCK', ALL, 'left', 'it is held'),
  row('clean', 'flock', 'ENOLCK EIO', ALL, 'left'),
  row('clean', 'unlinkat', 'EACCES EPERM EROFS EBUSY EIO', ALL, 'left'),
  row('server', 'fstatfs-fails', 'ENOSYS EPERM', ALL, GRANTED, 'taken for a network file system'),
  row('server', 'open', 'EINTR', 3, GRANTED, 'opened again'),
  row('server', 'open', 'EIO ETIMEDOUT EACCES', ALL, EACH),
  row('server', 'openat', 'EINTR', 3, GRANTED, 'looked up again'),
  row('server', 'openat', 'EACCES EROFS EPERM', ALL, GRANTED, 'the directory may not be written: the server is asked'),
  row('server', 'openat', 'EIO ETIMEDOUT', ALL, 'the error, of open', 'a cached name is not believed'),
  row('server', 'flock', 'ESTALE', 3, GRANTED, 'replaced'),
  row('server', 'flock', 'EIO ENOLCK', ALL, EACH),
  row('server', 'statx-ask', 'EINTR', 3, GRANTED, 'asked again'),
  row('server', 'statx-ask', 'ESTALE ENOENT', 1, GRANTED, 'replaced'),
  row('server', 'statx-ask', 'EIO ETIMEDOUT', ALL, 'the error, of stat', 'a cached name is not believed'),
  row(
    'server',
    'statx-ask',
    'ENOSYS EPERM',
    ALL,
    GRANTED,
    'a sandbox: the name was looked up, and fstatat tells what it is',
  ),
  row('verify', 'statx-ask', 'EINTR', 3, 'held', 'asked again'),
  row('verify', 'statx-ask', 'ESTALE ENOENT', 1, 'ERR_LOCK_LOST'),
  row('verify', 'statx-ask', 'EIO ETIMEDOUT', 1, 'the error, of stat', '`lost` does not abort: it is not known'),
];
