#include "lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

namespace nfl {
namespace {

// O_NONBLOCK: opening a FIFO must not wait for its other end. O_NOCTTY: opening a terminal must not
// make it ours. Neither matters to the regular file that is wanted.
constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

int OpenRetrying(const char* path, int flags, unsigned permissions) {
  int fd;
  do {
    fd = open(path, flags | kFlags, permissions);
  } while (fd == -1 && errno == EINTR);
  return fd;
}

bool IsPermission(int number) { return number == EACCES || number == EROFS; }

// The errno of a conflict. Anything else is a failure, and retrying it would never end
// (ENOLCK, EBADF of a network file system, ENOSYS). EACCES too: POSIX lets fcntl(2) say so for a
// conflict, but Linux and macOS never do; a security module does (AppArmor, SELinux).
bool IsContention(int number) { return number == EWOULDBLOCK || number == EAGAIN; }

}  // namespace

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  if (this == &other) return *this;
  Close();
  fd_ = other.fd_;
  path_ = other.path_;
  identity_ = other.identity_;
  mechanism_ = other.mechanism_;
  mode_ = other.mode_;
  held_ = other.held_;
  writable_ = other.writable_;
  exposed_ = other.exposed_;
  other.fd_ = -1;
  other.path_ = nullptr;
  other.held_ = false;
  return *this;
}

LockFile::OpenResult LockFile::Open(const char* path, unsigned permissions, Mechanism mechanism,
                                    bool must_write, OsError* error) {
  writable_ = true;
  int fd = OpenRetrying(path, O_RDWR | O_CREAT, permissions);
  const int first_error = errno;
  if (fd == -1 && IsPermission(first_error)) {
    fd = OpenRetrying(path, O_RDWR, 0);
    if (fd == -1 && !must_write) {
      writable_ = false;
      fd = OpenRetrying(path, O_RDONLY, 0);
    }
  }
  FileStatus status;
  if (fd == -1) {
    // A socket cannot be opened at all, nor a device without a driver.
    if (IdentifyPath(path, &status) == 0 && status.kind == FileKind::kOther) {
      return OpenResult::kNotAFile;
    }
    *error = {Syscall::kOpen, first_error};
    return OpenResult::kFailed;
  }
  fd_ = fd;
  if (const int number = IdentifyDescriptor(fd_, &status)) {
    *error = {Syscall::kFstat, number};
    Close();
    return OpenResult::kFailed;
  }
  if (status.kind != FileKind::kRegular) {
    Close();
    return OpenResult::kNotAFile;
  }
  if (fd_ < 3) {  // a program without standard streams would write its output into the lock file
    int copy = -1;
    const int number = DuplicateAboveStandard(fd_, &copy);
    Close();
    if (number != 0) {
      *error = {Syscall::kFcntl, number};
      return OpenResult::kFailed;
    }
    fd_ = copy;
  }
  path_ = strdup(path);
  if (path_ == nullptr) abort();  // as operator new does
  identity_ = status.identity;
  mechanism_ = mechanism;
  return OpenResult::kOpened;
}

Outcome LockFile::Lock(Mode mode, bool wait, OsError* error) {
  int number;
  do {
    if (mechanism_ == Mechanism::kFlock) {
      const int operation = mode == Mode::kShared ? LOCK_SH : LOCK_EX;
      number = flock(fd_, operation | (wait ? 0 : LOCK_NB)) == -1 ? errno : 0;
    } else {
      const FcntlLock lock = mode == Mode::kShared ? FcntlLock::kShared : FcntlLock::kExclusive;
      number = wait ? FcntlWait(fd_, lock) : FcntlTry(fd_, lock);
    }
  } while (number == EINTR && !wait);
  if (number == 0) {
    held_ = true;
    mode_ = mode;
    const Outcome outcome = CompareWithPath(error);
    if (outcome != Outcome::kGranted) Unlock();
    return outcome;
  }
  if (wait ? number == EINTR : IsContention(number)) return Outcome::kBusy;
  *error = {mechanism_ == Mechanism::kFlock ? Syscall::kFlock : Syscall::kFcntl, number};
  return Outcome::kFailed;
}

Outcome LockFile::TryLock(Mode mode, OsError* error) { return Lock(mode, false, error); }

Outcome LockFile::LockUnlessInterrupted(Mode mode, OsError* error) {
  return Lock(mode, true, error);
}

Outcome LockFile::CompareWithPath(OsError* error) const {
  FileStatus now;
  int number;
  do {
    number = IdentifyPath(path_, &now);
  } while (number == EINTR);
  if (number == 0 && now.identity == identity_) return Outcome::kGranted;
  if (number == 0 || number == ENOENT || number == ENOTDIR) return Outcome::kReplaced;
  *error = {Syscall::kStat, number};
  return Outcome::kFailed;
}

Outcome LockFile::Verify(OsError* error) const {
  if (exposed_ && !DescriptorIsThis()) return Outcome::kReplaced;
  return CompareWithPath(error);
}

int LockFile::Expose() {
  exposed_ = true;
  return fd_;
}

bool LockFile::DescriptorIsThis() const {
  FileStatus now;
  return IdentifyDescriptor(fd_, &now) == 0 && now.identity == identity_;
}

int LockFile::Read(void* buffer, size_t size, int64_t position, OsError* error) const {
  ssize_t count;
  do {
    count = pread(fd_, buffer, size, position);
  } while (count == -1 && errno == EINTR);
  if (count == -1) *error = {Syscall::kRead, errno};
  return static_cast<int>(count);
}

int LockFile::Write(const void* bytes, size_t size, OsError* error) const {
  ssize_t count;
  do {
    count = pwrite(fd_, bytes, size, 0);
  } while (count == -1 && errno == EINTR);
  if (count == -1) *error = {Syscall::kWrite, errno};
  return static_cast<int>(count);
}

OsError LockFile::Unlock() {
  if (exposed_ && fd_ >= 0 && !DescriptorIsThis()) {
    fd_ = -1;  // other code closed or replaced it
    return {Syscall::kFstat, EBADF};
  }
  if (!held_) return {};
  held_ = false;
  int number;
  do {
    number = mechanism_ == Mechanism::kFcntl ? FcntlTry(fd_, FcntlLock::kUnlock)
             : flock(fd_, LOCK_UN) == -1     ? errno
                                             : 0;
  } while (number == EINTR);
  if (number == 0) return {};
  return {mechanism_ == Mechanism::kFlock ? Syscall::kFlock : Syscall::kFcntl, number};
}

void LockFile::Close() {
  if (fd_ >= 0) {
    Unlock();
    // Once: even after EINTR the descriptor is gone, and its number perhaps reused.
    if (fd_ >= 0) close(fd_);
  }
  fd_ = -1;
  held_ = false;
  exposed_ = false;
  free(path_);
  path_ = nullptr;
}

}  // namespace nfl
