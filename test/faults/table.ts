import type { scenarios } from './scenarios.js';

/** A system call that fails, and what comes of it. */
export interface Row {
  /** As its manual page names it. */
  readonly call: string;
  /** Which of the calls; all of them, when that is empty. */
  readonly which: string;
  /** Names of errors, with the same outcome for each; or, in words, something else that happens to the call. */
  readonly fails: readonly string[];
  /** What the process does meanwhile. */
  readonly doing: keyof typeof scenarios;
  /** What the caller gets; `$` stands for the error's name. */
  readonly expected: string;
  /** How it is recovered. */
  readonly recovered: string;
  /** What happens instead, as long as it is not as it should be. */
  readonly instead: string;
  /**
   * The faults, in the words of test/fixtures/faults.c. `E` stands for the error's number, FILE for the lock file, JOBS
   * for the jobs directory, PID for the holder and MODULE for a module of this package.
   */
  readonly inject: readonly string[];
}

// call | which | fails with | while | the caller gets | recovered | not yet | faults
const TEXT = `
open | fifty times | EINTR | acquiring | granted | it is called again | - | open errno E 50
open | always | EACCES, EROFS, EPERM, EMFILE, ENFILE, ENOMEM, ENOSPC, EDQUOT, EIO, ELOOP, ENOTDIR, EISDIR, ENAMETOOLONG, EINVAL, EFBIG, ENODEV, ENXIO, EBUSY, ENOTSUP, EOVERFLOW, ETXTBSY | acquiring | LockError $ open | - | - | open errno E 3
open | for writing | EACCES, EROFS | acquiring | granted | it is opened for reading | - | open errno E 2
open | with O_CREAT | EACCES, EROFS | acquiring, fcntl | granted | it is opened without | - | open errno E 1
open | for writing | EACCES, EROFS | acquiring, fcntl | LockError $ open | - | - | open errno E 2
open | once | ENOENT | acquiring | granted | the parent is made, and it is opened again | - | open errno E 1
open | always | ENOENT | acquiring | LockError $ open | after 100 openings | - | open errno E 200
open | three times | ESTALE | acquiring | granted | it is opened again | - | open errno E 3
open | always | ESTALE | acquiring | LockError $ open | after 100 openings | - | open errno E 200
open | - | slow | acquiring | granted | - | - | open sleep 150
open | once | EAGAIN | acquiring | LockError $ open | the lease of another program is broken meanwhile (fcntl(2), F_SETLEASE) | - | open errno E 1
statx | of the parent, after ESTALE | EIO, ENOMEM, EACCES, ESTALE | acquiring | granted | the file is opened again all the same | - | open errno ESTALE 1; statx-ask errno E 1
statx | by Node.js, of a file that may not be opened | EACCES, ENOENT, EIO | acquiring | LockError EACCES open | the message does not tell the owner | - | open errno EACCES 3; statx-node errno E 1
statx | of the open file, fifty times | EINTR | acquiring | granted | it is called again | - | statx-fd errno E 50
statx | of the open file | EIO, ENOMEM, EACCES, EBADF | acquiring | LockError $ fstat | - | - | statx-fd errno E 1
statx | of the open file, once | ESTALE | acquiring | granted | it is opened again | - | statx-fd errno E 1
statx | always | ENOSYS, EPERM | acquiring | granted | fstat and fstatat take its place | - | statx errno E 1000
fstat | without statx | EIO, ENOMEM, EOVERFLOW | acquiring | LockError $ fstat | - | - | statx errno ENOSYS 1000; fstat errno E 1
fstat | without statx, fifty times | EINTR | acquiring | granted | it is called again | - | statx errno ENOSYS 1000; fstat errno E 50
fcntl F_DUPFD_CLOEXEC | - | EMFILE, EINVAL | acquiring, descriptor 0 free | LockError $ fcntl | - | - | dup errno E 1
fstatfs | - | ENOSYS, EPERM, EIO, EINTR, ENOMEM, EBADF, EOVERFLOW | acquiring on tmpfs | granted | it is taken for one on a network, which only costs time | - | fstatfs-call errno E 1
mkdir | fifty times | EINTR | acquiring, parents missing | granted | it is called again | - | mkdir errno E 50
mkdir | - | EACCES, EROFS, EPERM, ENOSPC, EDQUOT, EMLINK, EIO, ENOMEM, ENOTDIR, ELOOP, ENAMETOOLONG, EINVAL | acquiring, parents missing | LockError $ mkdir | what was made stays | - | mkdir errno E 1
mkdir | once | ESTALE | acquiring, parents missing | granted | it begins again | - | mkdir errno E 1
mkdir | five times | ENOENT | acquiring, parents missing | granted | another process removed a parent: it begins again | - | mkdir errno E 5
mkdir | once | EEXIST | acquiring, parents missing | granted | another process made it | - | mkdir errno E 1
mkdir | always | EEXIST | acquiring, parents missing | LockError ENOENT open | after 100 openings | - | mkdir errno E 1000
mkdir | and the directory vanishes, fifty times | removed | acquiring, parents missing | granted | it is made again | - | mkdir-vanish errno 1 50
mkdir | - | slow | acquiring, parents missing | granted | - | - | mkdir sleep 100
flock | fifty times | EINTR | acquiring | granted | it is called again | - | flock errno E 50
flock | once | EAGAIN | acquiring | tryAcquire: null; acquire: granted; acquireSync: granted | it is held, and is waited for | - | flock errno E 1
flock | - | ENOLCK, EIO, EACCES, EPERM, EINVAL, EBADF, ENOSYS, ENOTSUP, ENOMEM | acquiring | LockError $ flock | - | - | flock errno E 1
flock | three times | ESTALE | acquiring | granted | the new file is opened and locked | - | flock errno E 3
flock | always | ESTALE | acquiring | LockError ESTALE stat | after 100 files | - | flock errno E 300
flock | returning | slow | acquiring | granted | - | - | flock linger 150
fcntl F_OFD_SETLK | fifty times | EINTR | acquiring, fcntl | granted | it is called again | - | ofd-try errno E 50
fcntl F_OFD_SETLK | once | EAGAIN | acquiring, fcntl | tryAcquire: null; acquire: granted; acquireSync: granted | it is held, and is waited for | - | ofd-try errno E 1
fcntl F_OFD_SETLK | - | ENOLCK, EIO, EACCES, EINVAL, EBADF, ENOSYS, ENOTSUP, ENOMEM | acquiring, fcntl | LockError $ fcntl | - | - | ofd-try errno E 1
fcntl F_OFD_SETLK | three times | ESTALE | acquiring, fcntl | granted | the new file is opened and locked | - | ofd-try errno E 3
statx | of the path, fifty times | EINTR | acquiring | granted | it is called again | - | statx-path errno E 50
statx | of the path | EIO, ENOMEM, EACCES, ELOOP, ENAMETOOLONG | acquiring | LockError $ stat | the lock is given back | - | statx-path errno E 1
statx | of the path, three times | ENOENT, ENOTDIR, ESTALE | acquiring | granted | the file is opened anew | - | statx-path errno E 3
statx | of the path, always | ENOENT, ESTALE | acquiring | LockError ESTALE stat | after 100 files | - | statx-path errno E 300
statx | of the path | slow | acquiring | granted | - | - | statx-path sleep 150
newfstatat | without statx | EIO, ENOMEM, EACCES | acquiring | LockError $ stat | the lock is given back | - | statx errno ENOSYS 1000; newfstatat errno E 1
newfstatat | without statx, fifty times | EINTR | acquiring | granted | it is called again | - | statx errno ENOSYS 1000; newfstatat errno E 50
pread | fifty times | EINTR | acquiring with a record | granted, recorded | it is called again | - | pread errno E 50
pread | - | EIO, EISDIR, EINVAL, EBADF, ESTALE | acquiring with a record | granted, not recorded | a record is a hint | - | pread errno E 1
pwrite | fifty times | EINTR | acquiring with a record | granted, recorded | it is called again | - | pwrite errno E 50
pwrite | - | ENOSPC, EDQUOT, EIO, EFBIG, EPERM, EINVAL, EBADF, ESTALE | acquiring with a record | granted, not recorded | a record is a hint | - | pwrite errno E 1
pwrite | - | short | acquiring with a record | granted, not recorded | what was written is no record | - | pwrite short 10
open | of /proc/self/stat | EACCES, ENOENT, EMFILE | acquiring with a record, first | granted, recorded | the start of this process is unknown: the record tells less | - | open:/proc/self/stat errno E 1
open | of /proc/sys/kernel/random/boot_id | EACCES, ENOENT, EMFILE | acquiring with a record, first | granted, recorded | whether it still runs cannot be told later | - | open:/proc/sys/kernel/random/boot_id errno E 1
pread | of /proc/self/stat | EIO | acquiring with a record, first | granted, recorded | the start of this process is unknown: the record tells less | - | pread:/proc/self/stat errno E 1
readlink | of /proc/self/ns/pid | EACCES, ENOENT, ENOMEM | acquiring with a record, first | granted, recorded | whether it still runs cannot be told later | - | readlink:/proc/self/ns/pid errno E 1
gethostname | - | ENAMETOOLONG, EPERM, EFAULT | acquiring with a record, first | granted, recorded | the name in /etc/hostname is recorded, if there is one | - | gethostname errno E 1
open | of /proc/self/mountinfo | EACCES, ENOENT, EMFILE | acquiring with a record, first | granted, recorded | a server is known as one when a file on it is open | - | open64:/proc/self/mountinfo errno E 1
open | of a module of this package | EMFILE, ENFILE, EACCES | acquiring with a record, first | LockError $ open | the next call loads it | - | open64:MODULE errno E 1
read | of /proc/self/mountinfo | EIO | acquiring with a record, first | granted, recorded | a server is known as one when a file on it is open | - | read:/proc/self/mountinfo errno E 1
fdatasync | fifty times | EINTR | acquiring with a record on NFS | granted, recorded | it is called again | - | fdatasync errno E 50
fdatasync | - | EIO, ENOSPC, EDQUOT, EROFS, EINVAL, ESTALE | acquiring with a record on NFS | granted, not recorded | a record is a hint | - | fdatasync errno E 1
fdatasync | returning | slow | acquiring with a record on NFS | granted, recorded | - | - | fdatasync linger 150
pread | - | EIO, ESTALE, EISDIR | acquiring with a record on NFS | granted, not recorded | a record is a hint | - | pread errno E 1
pread | fifty times | EINTR | acquiring with a record on NFS | granted, recorded | it is called again | - | pread errno E 50
pwrite | - | ENOSPC, EDQUOT, EIO, EFBIG, EPERM, ESTALE | acquiring with a record on NFS | granted, not recorded | a record is a hint | - | pwrite errno E 1
pwrite | - | short | acquiring with a record on NFS | granted, not recorded | what was written is no record | - | pwrite short 10
clone | always | EAGAIN, EPERM, ENOMEM | acquiring with a record on NFS, first | granted, recorded | the event loop does it, and may be blocked | - | pthread_create errno E 100000
open | fifty times | EINTR | acquiring on NFS | granted | it is called again | - | open errno E 50
open | always | EIO, ETIMEDOUT, EACCES, EROFS, EMFILE, ENFILE, ENOSPC, EDQUOT, ENOMEM, ENXIO | acquiring on NFS | LockError $ open | - | - | open errno E 3
open | three times | ESTALE | acquiring on NFS | granted | it is opened again | - | open errno E 3
open | always | ESTALE | acquiring on NFS | LockError $ open | after 100 openings | - | open errno E 200
statx | of the open file | EIO, ENOMEM, ETIMEDOUT | acquiring on NFS | LockError $ fstat | - | - | statx-fd errno E 1
fstatfs | - | EIO, EINTR, ESTALE, ENOSYS, EPERM | acquiring on NFS | granted | it is taken for one on a network | - | fstatfs-call errno E 1
flock | fifty times | EINTR | acquiring on NFS | granted | it is called again | - | flock errno E 50
flock | three times | ESTALE | acquiring on NFS | granted | the new file is opened and locked | - | flock errno E 3
flock | always | ESTALE | acquiring on NFS | LockError ESTALE stat | after 100 files | - | flock errno E 300
flock | once | EAGAIN | acquiring on NFS | tryAcquire: null; acquire: granted; acquireSync: granted | it is held, and is waited for | - | flock errno E 1
close | of a file that the look-up of the name has made | EIO, EINTR, ENOSPC, EDQUOT | acquiring on NFS | granted | the file is locked next | - | flock rename FILE FILE.away; close errno E 1
mkdir | fifty times | EINTR | acquiring on NFS, parents missing | granted | it is called again | - | mkdir errno E 50
mkdir | once | ESTALE, ENOENT, EEXIST | acquiring on NFS, parents missing | granted | it begins again | - | mkdir errno E 1
mkdir | - | EACCES, EROFS, ENOSPC, EDQUOT, EIO, ETIMEDOUT | acquiring on NFS, parents missing | LockError $ mkdir | what was made stays | - | mkdir errno E 1
statx | of the name on the server, fifty times | EINTR | acquiring on NFS | granted | it is called again | - | statx-ask errno E 50
statx | of the name on the server | EIO, ETIMEDOUT, EACCES, ENOMEM | acquiring on NFS | LockError $ stat | the lock is given back | - | statx-ask errno E 1
statx | of the name on the server | ENOSYS, EPERM | acquiring on NFS | granted | the name was looked up, and newfstatat tells what it is | - | statx-ask errno E 1
statx | of the name on the server, in a directory that may not be written | ENOSYS, EPERM, EIO | acquiring on NFS | LockError $ stat | the lock is given back | - | openat errno EACCES 1; statx-ask errno E 1
newfstatat | without statx | EIO, ENOMEM, EACCES | acquiring on NFS | LockError $ stat | the lock is given back | - | statx-ask errno ENOSYS 1; statx-path errno ENOSYS 1; newfstatat errno E 1
statx | of the name on the server, three times | ENOENT, ENOTDIR, ESTALE | acquiring on NFS | granted | the file is opened anew | - | statx-ask errno E 3
flock | - | slow | acquiring on NFS | granted | acquire does not block the event loop | - | flock sleep 150
openat | with O_EXCL, fifty times | EINTR | acquiring on NFS | granted | it is called again | - | openat errno E 50
openat | with O_EXCL | EIO, ETIMEDOUT, EMFILE, ENFILE, ENOMEM, ENOSPC, EDQUOT, ELOOP, EINVAL | acquiring on NFS | LockError $ open | the lock is given back | - | openat errno E 1
openat | with O_EXCL, three times | ESTALE, ENOENT, ENOTDIR | acquiring on NFS | granted | the file is opened anew | - | openat errno E 3
openat | with O_EXCL | EACCES, EROFS, EPERM | acquiring on NFS | granted | the server is asked for the name: the directory may not be written | - | openat errno E 1
openat | of the directory | EACCES, EMFILE, ENFILE, ENOMEM, EIO, ELOOP | acquiring on 9p | LockError $ open | the lock is given back | - | openat errno E 1
openat | of the directory, fifty times | EINTR | acquiring on 9p | granted | it is called again | - | openat errno E 50
openat | of the directory, three times | ENOENT, ENOTDIR, ESTALE | acquiring on 9p | granted | the file is opened anew | - | openat errno E 3
statx | of the open directory | EIO, ENOMEM | acquiring on 9p | LockError $ fstat | the lock is given back | - | statx-fd pass 1; statx-fd errno E 1
fdopendir | - | ENOMEM, EBADF, EMFILE | acquiring on 9p | LockError $ open | the lock is given back | - | fdopendir errno E 1
readdir | - | EIO, EBADF, EINVAL | acquiring on 9p | LockError $ read | the lock is given back | - | readdir errno E 1
readdir | fifty times | EINTR | acquiring on 9p | granted | it is called again | - | readdir errno E 50
readdir | three times | ENOENT, ESTALE | acquiring on 9p | granted | the directory was removed: the file is opened anew | - | readdir errno E 3
readdir | without the name | removed | acquiring on 9p | granted | the file is opened anew | - | flock rename FILE FILE.away
closedir | - | EIO, EINTR, EBADF | acquiring on 9p | granted | it was only read | - | closedir errno E 1
flock | - | EIO, ENOLCK, ENOTSUP, ETIMEDOUT, EACCES, EINVAL | acquiring on NFS | LockError $ flock | - | - | flock errno E 1
statx | of the parent | EIO, ETIMEDOUT, EACCES, ENOMEM | verifying on NFS | LockError $ stat | the lock stays held | - | statx-ask errno E 1
statx | of the parent | ESTALE, ENOENT, ENOTDIR | verifying on NFS | LockError ERR_LOCK_LOST | - | - | statx-ask errno E 1
statx | of the parent, fifty times | EINTR | verifying on NFS | held | it is called again | - | statx-ask errno E 50
statx | of the parent | ENOSYS, EPERM | verifying on NFS | held | nothing is asked: the path is looked at, and F_OFD_GETLK asks | - | statx-ask errno E 1
openat | of the directory | EACCES, EMFILE, EIO | verifying on 9p | LockError $ open | the lock stays held | - | openat errno E 1
readdir | - | EIO | verifying on 9p | LockError $ read | the lock stays held | - | readdir errno E 1
readdir | - | ENOENT, ESTALE | verifying on 9p | LockError ERR_LOCK_LOST | - | - | readdir errno E 1
readdir | fifty times | EINTR | verifying on 9p | held | it is called again | - | readdir errno E 50
statx | of the path | EIO, EACCES, ENOMEM | verifying on NFS | LockError $ stat | the lock stays held | - | statx-path errno E 1
statx | of the path | ENOENT, ESTALE | verifying on NFS | LockError ERR_LOCK_LOST | - | - | statx-path errno E 1
fcntl F_OFD_GETLK | - | EIO, ENOLCK, EINVAL, EBADF, ETIMEDOUT | verifying on NFS | LockError $ fcntl | the lock stays held | - | ofd-test errno E 1
fcntl F_OFD_GETLK | - | ESTALE | verifying on NFS | LockError ERR_LOCK_LOST | - | - | ofd-test errno E 1
fcntl F_OFD_GETLK | fifty times | EINTR | verifying on NFS | held | it is called again | - | ofd-test errno E 50
fcntl F_OFD_GETLK | tells of another holder | conflict | verifying on NFS | LockError ERR_LOCK_LOST | - | - | getlk errno 1 1
statx | of the parent | EIO | watching for loss on NFS | held | the next look will tell | - | statx-ask errno E 1
statx | of the parent | ESTALE | watching for loss on NFS | LockError ERR_LOCK_LOST | - | - | statx-ask errno E 1
fcntl F_OFD_GETLK | - | EIO | watching for loss on NFS | held | the next look will tell | - | ofd-test errno E 1
fcntl F_DUPFD_CLOEXEC | - | EMFILE | watching for loss on NFS | held | the next look will tell | - | dup errno E 1
flock | fifty times | EINTR | releasing | released | it is called again | - | flock-unlock errno E 50
flock | - | EIO, ENOLCK, EBADF, EINVAL | releasing | released, LockWarning | closing the file frees the lock | - | flock-unlock errno E 1
flock | - | EIO, ENOLCK | releasing, kept open | released, LockWarning | closing the file frees the lock | - | flock-unlock errno E 1
flock | - | ESTALE | releasing | released | no lock is left of a file that is gone | - | flock-unlock errno E 1
flock | returning | slow | releasing | released | - | - | flock-unlock linger 150
fcntl F_OFD_SETLK | fifty times | EINTR | releasing, fcntl | released | it is called again | - | ofd-unlock errno E 50
fcntl F_OFD_SETLK | - | EIO, ENOLCK, EINVAL | releasing, fcntl | released, LockWarning | closing the file frees the lock | - | ofd-unlock errno E 1
statx | of the path, once | EIO, ENOMEM, EACCES, ENOENT, ENOTDIR, ESTALE | handing on | granted | the waiter opens the file anew | - | statx-path errno E 1
statx | of the path, fifty times | EINTR | handing on | granted | it is called again | - | statx-path errno E 50
statx | of the path, twice | EIO, ENOMEM, EACCES | handing on | LockError $ stat | the lock is given back | - | statx-path errno E 2
statx | of the open file | EIO, ENOMEM, EACCES | releasing, descriptor known | released | it is unlocked and closed all the same | - | statx-fd errno E 1
fstat | without statx, fifty times | EINTR | releasing, descriptor known | released | it is called again | - | statx errno ENOSYS 1000; fstat errno E 50
fdatasync | fifty times | EINTR | releasing with a record on NFS | released | it is called again | - | fdatasync errno E 50
fdatasync | - | EIO, ENOSPC, EDQUOT, EROFS, ESTALE | releasing with a record on NFS | released, LockWarning | the next holder may be told that the lock was abandoned | - | fdatasync errno E 1
close | - | EIO, EINTR, ENOSPC, EDQUOT, EBADF | releasing | released | it is unlocked before, and never closed twice | - | close errno E 1
close | - | slow | releasing | released | it is unlocked before | - | close sleep 150
close | returning | slow | releasing | released | - | - | close linger 150
pwrite | - | ENOSPC, EDQUOT, EIO, EFBIG, EPERM, ESTALE | releasing with a record | released, LockWarning | the next holder is told that the lock was abandoned | - | pwrite errno E 1
pwrite | fifty times | EINTR | releasing with a record | released | it is called again | - | pwrite errno E 50
flock | fifty times | EINTR | waiting | as ever | it is called again | - | flock-wait errno E 50
flock | that waits | ENOLCK, EIO, EACCES, ENOSYS, EINVAL, ENOMEM | waiting | LockError $ flock | - | - | flock-wait errno E 1
flock | that waits, once | ESTALE | waiting | as ever | the new file is opened | - | flock-wait errno E 1
flock | that waits, always | EAGAIN | waiting | as ever | it is polled | - | flock-wait errno E 100000
flock | that waits | slow | waiting | as ever | a late grant is given back | - | flock-wait sleep 200
fcntl F_OFD_SETLKW | fifty times | EINTR | waiting, fcntl | as ever | it is called again | - | ofd-wait errno E 50
fcntl F_OFD_SETLKW | that waits | ENOLCK, EIO, EACCES, EINVAL, EDEADLK, EBADF | waiting, fcntl | LockError $ fcntl | - | - | ofd-wait errno E 1
fcntl F_OFD_SETLKW | that waits, always | EAGAIN | waiting, fcntl | as ever | it is polled | - | ofd-wait errno E 100000
flock | fifty times | EINTR | waiting on NFS | as ever | it is called again | - | flock-wait errno E 50
flock | that waits | ENOLCK, EIO, ETIMEDOUT, EACCES, EINVAL | waiting on NFS | LockError $ flock | - | - | flock-wait errno E 1
flock | that waits, once | ESTALE | waiting on NFS | as ever | the new file is opened | - | flock-wait errno E 1
flock | that waits, always | EAGAIN | waiting on NFS | as ever | it is polled | - | flock-wait errno E 100000
flock | that waits | slow | waiting on NFS | as ever | a late grant is given back | - | flock-wait sleep 200
futex | fifty times | EINTR, EAGAIN, ETIMEDOUT | waiting in turn | as ever | a thread that wakes up too early looks again | - | futex-wait errno E 50
clone | always | EAGAIN, EPERM, ENOMEM | waiting first | as ever | it is polled by the event loop | - | pthread_create errno E 100000
clone | always | EAGAIN | waiting first, thread pool unused | as ever | it is polled by the event loop | - | pthread_create errno E 100000
clone | once | EAGAIN | waiting first | as ever | it is polled until there are threads | - | pthread_create errno E 1
timer_create | always | EAGAIN, ENOMEM, EINVAL, ENOTSUP, EPERM, ENOSYS | waiting first | as ever | it is polled | - | timer_create errno E 100000
timer_settime | always | EPERM, ENOSYS, EINVAL | waiting first | as ever | it is polled | - | timer_settime errno E 100000
timer_delete | of a timer that cannot be set | EINVAL, EPERM, ENOSYS | waiting first | as ever | the timer stays until the process ends | - | timer_settime errno EPERM 100000; timer_delete errno E 100000
timer_settime | but for the first | EPERM, EINVAL | waiting first | as ever | it is polled | - | timer_settime pass 1; timer_settime errno E 100000
timer_settime | but for the first two | EPERM, EINVAL | waiting first | as ever | a wait whose alarm cannot be set again is left to its thread, which gives a late grant back | - | timer_settime pass 2; timer_settime errno E 100000
rt_sigtimedwait | always | EINTR, EAGAIN, EINVAL | waiting first | as ever | a late signal finds an empty handler | - | rt_sigtimedwait errno E 100000
rt_sigaction | always | EINVAL, EPERM | waiting first | as ever | it is polled | - | sigaction errno E 100000
rt_sigprocmask | always | EINVAL, EPERM | waiting first | as ever | - | - | rt_sigprocmask errno E 100000
clock_nanosleep | polling, fifty times | EINTR | waiting first | as ever | it sleeps the rest | - | timer_create errno EPERM 100000; clock_nanosleep errno E 50
clock_nanosleep | polling | EPERM, ENOSYS, EINVAL, ENOTSUP | waiting first | as ever | it is polled without a pause | - | timer_create errno EPERM 100000; clock_nanosleep errno E 100
statx | of the path | EIO, ENOMEM, EACCES | verifying | LockError $ stat | the lock stays held | - | statx-path errno E 1
statx | of the path | ENOENT, ENOTDIR, ESTALE | verifying | LockError ERR_LOCK_LOST | - | - | statx-path errno E 1
statx | of the path, fifty times | EINTR | verifying | held | it is called again | - | statx-path errno E 50
statx | of the path | EIO, ENOMEM, EACCES | watching for loss | held | the next look will tell | - | statx-path errno E 1
statx | of the path | ENOENT, ENOTDIR, ESTALE | watching for loss | LockError ERR_LOCK_LOST | - | - | statx-path errno E 1
inotify_init1 | - | EMFILE, ENOMEM | watching for loss, first | held | the path is looked at once a second | - | inotify_init1 errno E 1
inotify_add_watch | - | ENOSPC, ENOMEM, EACCES | watching for loss | held | the path is looked at once a second | - | inotify_add_watch errno E 1
statx | of the open file | EIO, ENOMEM, EACCES | verifying, descriptor known | held | the path is looked at all the same | - | statx-fd errno E 1
statx | of the path | EIO, EACCES, ENOMEM, ELOOP | inspecting | LockError $ lstat | - | - | statx-node errno E 1
statx | of the path | ENOENT, ENOTDIR, ESTALE | inspecting | missing | - | - | statx-node errno E 1
open | of /proc/locks | EACCES, ENOENT, EMFILE, ENFILE, EPERM | inspecting | held, and by whom | the record tells | - | open64:/proc/locks errno E 1
read | of /proc/locks | EIO, ENOMEM, EACCES | inspecting | held, and by whom | the record tells | - | read:/proc/locks errno E 1
open | of /proc/self/mountinfo | EACCES, ENOENT, EMFILE | inspecting | held, and by whom | the table of locks tells | - | open64:/proc/self/mountinfo errno E 1
read | of /proc/self/mountinfo | EIO, ENOMEM | inspecting | held, and by whom | the table of locks tells | - | read:/proc/self/mountinfo errno E 1
close | of /proc/locks | EIO | inspecting | held, and by whom | the record tells | - | close:/proc/locks errno E 1
open | of the lock file | EACCES, EMFILE, ENFILE, ENOMEM, EIO, EAGAIN, ESTALE | inspecting | held, and by whom | the table of locks tells | - | open64:FILE errno E 1
pread | of the lock file | EIO, ESTALE, EISDIR | inspecting | held, and by whom | the table of locks tells | - | pread64:FILE errno E 1
close | of the lock file | EIO | inspecting | held, and by whom | the table of locks tells | - | close:FILE errno E 1
open | of the holder's /proc/[pid]/stat | EACCES, EMFILE, ENFILE | inspecting | held, and by whom | the table of locks tells | - | open:/proc/PID/stat errno E 1
kill | with signal 0, without /proc/[pid]/stat | ESRCH, EPERM | inspecting | held, and by whom | the table of locks tells | - | open:/proc/PID/stat errno EACCES 1; kill errno E 1
open | of /proc/self/stat | EACCES, ENOENT | inspecting, first | held, and by whom | the table of locks tells | - | open:/proc/self/stat errno E 1
open | of /proc/sys/kernel/random/boot_id | EACCES, ENOENT | inspecting, first | held, and by whom | the table of locks tells | - | open:/proc/sys/kernel/random/boot_id errno E 1
readlink | of /proc/self/ns/pid | EACCES, ENOENT | inspecting, first | held, and by whom | the table of locks tells | - | readlink:/proc/self/ns/pid errno E 1
gethostname | - | ENAMETOOLONG, EPERM | inspecting, first | held, and by whom | the table of locks tells | - | gethostname errno E 1
open | of the holder's /proc/[pid]/cmdline | EACCES, ENOENT, EMFILE | inspecting, no record | held, and by whom | /proc/[pid]/comm tells its name | - | open:/proc/PID/cmdline errno E 1
open | of /proc/locks | EACCES, ENOENT, EMFILE, ENFILE | timing out | LockTimeoutError, and by whom | the record tells | - | open64:/proc/locks errno E 1
read | of /proc/locks | EIO, ENOMEM | timing out | LockTimeoutError, and by whom | the record tells | - | read:/proc/locks errno E 1
statx | of the path | EIO, EACCES, ENOMEM, ENOENT, ESTALE | timing out | LockTimeoutError | the holder is not named | - | statx-node errno E 1
open | of /proc/locks, by a thread | EACCES, ENOENT, EMFILE, ENFILE | reporting a wait | held, and by whom | the record tells | - | open:/proc/locks errno E 1
pread | of /proc/locks, by a thread | EIO, ENOMEM | reporting a wait | held, and by whom | the record tells | - | pread:/proc/locks errno E 1
pread | of /proc/locks, by a thread, fifty times | EINTR | reporting a wait | held, and by whom | it is called again | - | pread:/proc/locks errno E 50
clone | always | EAGAIN | reporting a wait, first | held, and by whom | the event loop reads /proc/locks | - | pthread_create errno E 100000
statx | of the path | EIO | reporting a wait | LockTimeoutError | onWait is not called | - | statx-node errno E 1
open | of the lock file | EIO, EMFILE | reporting a wait on NFS | LockTimeoutError | onWait is not called | - | open pass 1; open errno E 1
open | of the lock file | ENOENT, ESTALE | reporting a wait on NFS | missing | - | - | open pass 1; open errno E 1
statx | of the open lock file | EIO | reporting a wait on NFS | LockTimeoutError | onWait is not called | - | statx-fd pass 1; statx-fd errno E 1
pread | of the lock file | EIO, ESTALE | reporting a wait on NFS | held, and by whom | the table of locks tells | - | pread errno E 1
newfstatat | - | EIO, EACCES, ENOMEM, ENOENT, ESTALE | cleaning up | left | the next clean-up takes it | - | newfstatat pass 1; newfstatat errno E 1
openat | fifty times | EINTR | cleaning up | removed | it is called again | - | openat errno E 50
openat | of the directory | EACCES, EMFILE, ENFILE, EIO, ESTALE, ENOENT | cleaning up | left | the next clean-up takes it | - | openat errno E 1
openat | of the file | EACCES, EMFILE, EROFS, ELOOP, ESTALE, ENOENT, EAGAIN, EIO | cleaning up | left | the next clean-up takes it | - | openat pass 1; openat errno E 1
flock | - | EAGAIN, ENOLCK, EIO, EACCES, ESTALE | cleaning up | left | the next clean-up takes it | - | flock errno E 1
fcntl F_OFD_SETLK | - | EAGAIN, ENOLCK, EINVAL, EIO | cleaning up | left | the next clean-up takes it | - | ofd-try errno E 1
fstat | - | EIO, ENOMEM | cleaning up | left | the next clean-up takes it | - | fstat errno E 1
pread | - | EIO, EINTR | cleaning up | removed | it is not told who abandoned it | - | pread errno E 1
unlinkat | - | EACCES, EPERM, EBUSY, EROFS, EIO, ENOMEM, ENOENT | cleaning up | left | the next clean-up takes it | - | unlinkat errno E 1
flock | - | EIO, EINTR | cleaning up | removed | closing the file frees the lock | - | flock-unlock errno E 1
open | of the jobs directory | EACCES, EMFILE, ENFILE, ENOMEM, ELOOP, ENOTDIR, EIO, ESTALE | cleaning up | LockError $ open | - | - | open:JOBS errno E 1
open | of the jobs directory | ENOENT | cleaning up | left | there is none | - | open:JOBS errno E 1
opendir | - | EACCES, EMFILE, ENFILE, ENOMEM, ENOENT, ENOTDIR | cleaning up | LockError $ opendir | - | - | opendir:JOBS errno E 1
readdir | of the jobs directory | EIO, ENOENT, EBADF, EINVAL | cleaning up | LockError $ readdir | what was removed stays so, and is not told | - | readdir64:JOBS errno E 1
close | of the lock file | EIO | cleaning up | removed | it is closed all the same | - | close errno E 1
fstatfs | - | EIO, EINTR, ENOSYS, ENOMEM | cleaning up on tmpfs | removed | it is taken for one on a network | - | fstatfs-call errno E 1
openat | with O_EXCL, fifty times | EINTR | cleaning up on NFS | removed | it is called again | - | openat pass 2; openat errno E 50
openat | with O_EXCL | EIO, ETIMEDOUT, EMFILE, ENOMEM, ENOENT, ESTALE | cleaning up on NFS | left | the next clean-up takes it | - | openat pass 2; openat errno E 1
openat | with O_EXCL | EACCES, EROFS, EPERM | cleaning up on NFS | removed | the server is asked for the name | - | openat pass 2; openat errno E 1
statx | of the name on the server | ENOSYS, EPERM | cleaning up on NFS | removed | the name was looked up, and newfstatat tells what it is | - | statx-ask errno E 1
openat | of the directory, to list it | EACCES, EMFILE, EIO, ENOENT | cleaning up on 9p | left | the next clean-up takes it | - | openat pass 2; openat errno E 1
readdir | - | EIO, ENOENT | cleaning up on 9p | left | the next clean-up takes it | - | readdir errno E 1
readdir | fifty times | EINTR | cleaning up on 9p | removed | it is called again | - | readdir errno E 50
statx | of the name on the server, fifty times | EINTR | cleaning up on NFS | removed | it is called again | - | statx-ask errno E 50
statx | of the name on the server | EIO, ETIMEDOUT, ENOENT, ESTALE, ENOMEM | cleaning up on NFS | left | the next clean-up takes it | - | statx-ask errno E 1
flock | of a file that the look-up of the name has made | EAGAIN, ENOLCK, EIO | cleaning up on NFS | left | the next clean-up takes it | - | ofd-try rename FILE FILE.away; flock pass 1; flock errno E 1
unlinkat | of a file that the look-up of the name has made | EACCES, EIO, EPERM, EBUSY | cleaning up on NFS | left | the next clean-up takes it | - | ofd-try rename FILE FILE.away; unlinkat errno E 1
`;

export const table: readonly Row[] = TEXT.trim()
  .split('\n')
  .map((line) => {
    const cells = line.split(' | ').map((cell) => (cell === '-' ? '' : cell));
    const [call = '', which = '', fails = '', doing = '', expected = '', recovered = '', instead = '', inject = ''] =
      cells;
    return {
      call,
      which,
      fails: fails.split(', '),
      doing: doing as Row['doing'],
      expected,
      recovered,
      instead,
      inject: inject.split('; '),
    };
  });
