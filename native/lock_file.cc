#include "lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "parent_directory.h"
#include "race_point.h"
#include "server_names.h"

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

// Each follows a change by another process, in the middle of an opening.
constexpr int kMostTries = 100;

char* Copy(const char* text) {
  char* copy = strdup(text);
  if (copy == nullptr) abort();  // as operator new does
  return copy;
}

FcntlLock ToFcntl(Mode mode) {
  return mode == Mode::kShared ? FcntlLock::kShared : FcntlLock::kExclusive;
}

bool IsReplaced(int number) { return number == ENOENT || number == ENOTDIR || number == ESTALE; }

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
  system_ = other.system_;
  mechanism_ = other.mechanism_;
  mode_ = other.mode_;
  permissions_ = other.permissions_;
  write_error_ = other.write_error_;
  held_ = other.held_;
  writable_ = other.writable_;
  exposed_ = other.exposed_;
  other.fd_ = -1;
  other.path_ = nullptr;
  other.held_ = false;
  return *this;
}

Outcome LockFile::Open(const Opening& opening, OsError* error) {
  for (int tries = 1;; ++tries) {
    const Outcome outcome = OpenOnce(opening, error);
    if (outcome != Outcome::kFailed || tries == kMostTries) return outcome;
    if (error->number == ESTALE) {
      AskServerForParent(opening.path);  // the file was replaced on the server
    } else if (error->number == ENOENT && opening.create_parents) {
      const int number = MakeParent(opening.path);
      if (number == 0 || number == ENOENT || number == ESTALE) continue;
      *error = {Syscall::kMkdir, number};
      return Outcome::kFailed;
    } else {
      return outcome;
    }
  }
}

Outcome LockFile::OpenOnce(const Opening& opening, OsError* error) {
  const char* path = opening.path;
  writable_ = true;
  int fd = OpenRetrying(path, O_RDWR | O_CREAT, opening.permissions);
  const int first_error = errno;
  if (fd == -1 && IsPermission(first_error)) {
    fd = OpenRetrying(path, O_RDWR, 0);
    if (fd == -1 && !opening.must_write) {
      writable_ = false;
      fd = OpenRetrying(path, O_RDONLY, 0);
    }
  }
  FileStatus status;
  if (fd == -1) {
    // A socket cannot be opened at all, nor a device without a driver.
    if (IdentifyPath(path, &status) == 0 && status.kind == FileKind::kOther) {
      return Outcome::kNotAFile;
    }
    *error = {Syscall::kOpen, first_error};
    return Outcome::kFailed;
  }
  fd_ = fd;
  write_error_ = first_error;
  mechanism_ = opening.mechanism;
  permissions_ = opening.permissions;
  return Identify(path, error);
}

Outcome LockFile::OpenToRead(const char* path, OsError* error) {
  fd_ = OpenRetrying(path, O_RDONLY, 0);
  if (fd_ != -1) return Identify(path, error);
  *error = {Syscall::kOpen, errno};
  return Outcome::kFailed;
}

// What was opened. Closes it unless it can be a lock file.
Outcome LockFile::Identify(const char* path, OsError* error) {
  FileStatus status;
  int number = IdentifyDescriptor(fd_, &status);
  if (number != 0) {
    *error = {Syscall::kFstat, number};
    Close();
    return Outcome::kFailed;
  }
  if (status.kind != FileKind::kRegular) {
    Close();
    return Outcome::kNotAFile;
  }
  if (fd_ < 3) {  // a program without standard streams would write its output into the lock file
    int copy = -1;
    number = DuplicateAboveStandard(fd_, &copy);
    Close();
    if (number != 0) {
      *error = {Syscall::kFcntl, number};
      return Outcome::kFailed;
    }
    fd_ = copy;
  }
  path_ = Copy(path);
  identity_ = status.identity;
  system_ = FileSystemOf(fd_, identity_);
  return Outcome::kBusy;
}

Outcome LockFile::Lock(Mode mode, bool wait, OsError* error) {
  int number;
  RacePoint();  // the last look at the wait is over
  do {
    if (mechanism_ == Mechanism::kFlock) {
      const int operation = mode == Mode::kShared ? LOCK_SH : LOCK_EX;
      number = flock(fd_, operation | (wait ? 0 : LOCK_NB)) == -1 ? errno : 0;
    } else {
      number = wait ? FcntlWait(fd_, ToFcntl(mode)) : FcntlTry(fd_, ToFcntl(mode));
    }
  } while (number == EINTR && !wait);
  if (number == 0) {
    held_ = true;
    mode_ = mode;
    RacePoint();  // the file is replaced
    const Outcome outcome = CompareWithPath(error);
    if (outcome != Outcome::kGranted) Unlock();
    return outcome;
  }
  if (wait && number == EINTR) return Outcome::kBusy;
  if (IsContention(number)) return wait ? Outcome::kCannotWait : Outcome::kBusy;
  if (number == ESTALE) return Outcome::kReplaced;
  // NFS locks by a range that must be open for writing. Why it is not is what the caller can mend.
  if (number == EBADF && !writable_) {
    *error = {Syscall::kOpen, write_error_};
  } else {
    *error = {mechanism_ == Mechanism::kFlock ? Syscall::kFlock : Syscall::kFcntl, number};
  }
  return Outcome::kFailed;
}

Outcome LockFile::TryLock(Mode mode, OsError* error) { return Lock(mode, false, error); }

Outcome LockFile::LockUnlessInterrupted(Mode mode, OsError* error) {
  return system_.waits ? Lock(mode, true, error) : Outcome::kCannotWait;
}

Outcome LockFile::CompareWithPath(OsError* error) const {
  if (!system_.network) return CompareWithCache(error);
  FileStatus now;
  int created = -1;
  *error = LookUpOnServer(AT_FDCWD, path_, permissions_, &now, &created);
  if (created != -1) close(created);  // for the next attempt
  if (!*error) return now.identity == identity_ ? Outcome::kGranted : Outcome::kReplaced;
  return IsReplaced(error->number) ? Outcome::kReplaced : Outcome::kFailed;
}

Outcome LockFile::CompareWithCache(OsError* error) const {
  FileStatus now;
  const int number = IdentifyPath(path_, &now);
  if (number == 0) return now.identity == identity_ ? Outcome::kGranted : Outcome::kReplaced;
  if (IsReplaced(number)) return Outcome::kReplaced;
  *error = {Syscall::kStat, number};
  return Outcome::kFailed;
}

Outcome LockFile::Verify(OsError* error) const {
  if (exposed_ && !DescriptorIsThis()) return Outcome::kReplaced;
  // A look at a lock that is held makes nothing; so not as after a grant.
  if (const int number = system_.network ? AskServerForParent(path_) : 0) {
    if (IsReplaced(number)) return Outcome::kReplaced;
    *error = {Syscall::kStat, number};
    return Outcome::kFailed;
  }
  const Outcome outcome = CompareWithCache(error);
  if (outcome != Outcome::kGranted || !system_.tests_on_server) return outcome;
  // A server that has not heard of this machine for longer than its lease gives the lock to others
  // (RFC 8881, section 8.3).
  const int number = FcntlTest(fd_, ToFcntl(mode_));
  if (number == 0) return Outcome::kGranted;
  if (IsContention(number) || number == ESTALE) return Outcome::kReplaced;
  *error = {Syscall::kFcntl, number};
  return Outcome::kFailed;
}

LockFile LockFile::Duplicate() const {
  LockFile copy;
  if (exposed_ && !DescriptorIsThis()) return copy;
  if (DuplicateAboveStandard(fd_, &copy.fd_) != 0) return copy;
  copy.path_ = Copy(path_);
  copy.identity_ = identity_;
  copy.system_ = system_;
  copy.mechanism_ = mechanism_;
  copy.mode_ = mode_;
  return copy;
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
  // Otherwise it could stay in the cache of this machine for half a minute, and be lost with it.
  const int number = count != -1 && system_.network ? SyncData(fd_) : 0;
  if (number == 0) return static_cast<int>(count);
  *error = {Syscall::kWrite, number};
  return -1;
}

OsError LockFile::Unlock() {
  if (exposed_ && fd_ >= 0 && !DescriptorIsThis()) {
    fd_ = -1;  // other code closed or replaced it
    return {Syscall::kFstat, EBADF};
  }
  if (!held_) return {};
  held_ = false;
  RacePoint();  // it is still locked
  int number;
  do {
    number = mechanism_ == Mechanism::kFcntl ? FcntlTry(fd_, FcntlLock::kUnlock)
             : flock(fd_, LOCK_UN) == -1     ? errno
                                             : 0;
  } while (number == EINTR);
  if (number == 0 || number == ESTALE) return {};  // of a file that is gone, no lock is left
  return {mechanism_ == Mechanism::kFlock ? Syscall::kFlock : Syscall::kFcntl, number};
}

void LockFile::Close() {
  if (fd_ >= 0) {
    Unlock();
    RacePoint();  // others have the lock, and this still has the file
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
