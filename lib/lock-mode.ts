/** `'exclusive'`: one holder. `'shared'`: any number of holders, as long as none is exclusive. */
export type LockMode = 'exclusive' | 'shared';

/**
 * `'flock'`: flock(2), which flock(1), Python, Go and Rust use. `'fcntl'`: an open-file-description lock over the
 * whole file (fcntl_locking(2)). On Linux the two do not see each other.
 */
export type LockMechanism = 'flock' | 'fcntl';
