// How a call of the system failed.

#ifndef NATIVE_FILE_LOCK_SYSTEM_ERROR_H_
#define NATIVE_FILE_LOCK_SYSTEM_ERROR_H_

namespace nfl {

// Which call, as lib/native.ts names it.
enum class Syscall : int {
  kNone,
  kOpen,
  kFstat,
  kFcntl,
  kFlock,
  kStat,
  kRead,
  kWrite,
  kUnlink,
  kMkdir
};

// The value that every failing call yields: which call, and why: the number that libuv has for it,
// as a positive number below 4096. On POSIX that is errno.
struct OsError {
  Syscall call = Syscall::kNone;
  int number = 0;
  explicit operator bool() const { return call != Syscall::kNone; }
};

OsError PathIsTooLong();      // ENAMETOOLONG of open
OsError IsReplacedAlways();   // ESTALE of stat: at every look the path names another file
OsError IsClosedElsewhere();  // EBADF of fstat: other code has closed the descriptor

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_SYSTEM_ERROR_H_
