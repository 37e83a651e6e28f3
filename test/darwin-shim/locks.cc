// Locks that exclude each other whichever call takes them, as those of macOS do. Linux keeps those
// of flock(2) and fcntl(2) apart, so each is taken as both here, flock first.

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace shim {

int Flock(int fd, int operation);
int Fcntl(int fd, int command, ...);

namespace {

// The commands of macOS.
constexpr int kSetLock = 90;
constexpr int kWaitForLock = 91;
constexpr int kGetLock = 92;

int CallFcntl(int fd, int command, struct flock* range) {
  return static_cast<int>(syscall(SYS_fcntl, fd, command, range));
}

int CallFcntl(int fd, int command, short type) {
  struct flock range = {};
  range.l_type = type;
  return CallFcntl(fd, command, &range);
}

int Unlock(int fd) {
  const int unlocked = CallFcntl(fd, F_OFD_SETLK, F_UNLCK);
  return flock(fd, LOCK_UN) == -1 ? -1 : unlocked;
}

// Gives up what it has taken when the second call fails, but not a lock that was held before.
int LockBoth(int fd, bool shared, bool waits, bool needs_access) {
  if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | (waits ? 0 : LOCK_NB)) == -1) return -1;
  if (CallFcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, shared ? F_RDLCK : F_WRLCK) == 0) return 0;
  // flock(2) locks what is open for reading only, too; that other mechanism is not excluded then.
  if (errno == EBADF && !needs_access) return 0;
  const int number = errno;
  flock(fd, LOCK_UN);
  errno = number;
  return -1;
}

}  // namespace

int Flock(int fd, int operation) {
  if (operation == LOCK_UN) return Unlock(fd);
  return LockBoth(fd, (operation & LOCK_SH) != 0, (operation & LOCK_NB) == 0, false);
}

int Fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void* const argument = va_arg(list, void*);
  va_end(list);
  if (command != kSetLock && command != kWaitForLock && command != kGetLock) {
    return static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
  }
  struct flock* range = static_cast<struct flock*>(argument);
  if (command == kGetLock) return CallFcntl(fd, F_OFD_GETLK, range);
  if (range->l_type == F_UNLCK) return Unlock(fd);
  return LockBoth(fd, range->l_type == F_RDLCK, command == kWaitForLock, true);
}

}  // namespace shim
