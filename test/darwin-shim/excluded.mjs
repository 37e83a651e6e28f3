const ONE_LIST = 'on macOS locks of both mechanisms exclude each other, and so they do over the shim';
const NO_STATX = 'macOS has no call that asks a server whatever is cached, which is what fails in it';

const NO_ARGUMENTS = 'a process that has recorded nothing is named by its executable only, without its script';

/** The tests that cannot hold over the shim, by their full names, and why. */
export const excluded = {
  'the number of waiter threads is bounded, and waits beyond the bound are granted too':
    'the thread of the shim on which dispatch timers run is counted with ours',
  'on Linux, flock and fcntl locks are independent': ONE_LIST,
  'an fcntl lock is reported as held for fcntl only': ONE_LIST,
  'a flock lock is not reported as held for fcntl': ONE_LIST,
  'another process that holds the lock is named (exclusive)': NO_ARGUMENTS,
  'another process that holds the lock is named (shared)': NO_ARGUMENTS,
  'inspect() never sees a partial record, however often it is rewritten': NO_ARGUMENTS,
  "'acquire' the error names the process that holds the lock": NO_ARGUMENTS,
  "'acquireSync' the error names the process that holds the lock": NO_ARGUMENTS,
  'the lock of a job and the original module the manager waits for the original, and is granted the lock when it releases or is killed':
    NO_ARGUMENTS,
  'the lock of the index and the original module the manager waits for the original, and is granted the lock when it releases or is killed':
    NO_ARGUMENTS,
  'on a network file system ESTALE of statx-ask means that the file was replaced': NO_STATX,
  'on a network file system ESTALE of statx-ask without an end is an error': NO_STATX,
  'on a network file system a grant whose path cannot be asked for on the server is an error, and nothing stays locked':
    NO_STATX,
  'on a network file system a lock that the server has given to another machine is lost':
    'only the client of NFS in Linux is known to ask the server when a lock is tested',
  "on a network file system a wait on a file system that 'is known not to wait' is polled": '9p is of Linux',
};

const escaped = (name) => name.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');

/** Matches the full names of all other tests. */
export const withoutExcluded = new RegExp(`^(?!\\s*(?:${Object.keys(excluded).map(escaped).join('|')})$)`);
