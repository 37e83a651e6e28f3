#include "../system/open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "files.h"
#include "parent_directory.h"
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

FcntlLock ToFcntl(Mode mode) {
  return mode == Mode::kShared ? FcntlLock::kShared : FcntlLock::kExclusive;
}

bool IsReplaced(int number) { return number == ENOENT || number == ENOTDIR || number == ESTALE; }

bool IsPermission(int number) { return number == EACCES || number == EROFS; }

// The errno of a conflict. Anything else is a failure, and retrying it would never end
// (ENOLCK, EBADF of a network file system, ENOSYS). EACCES too: POSIX lets fcntl(2) say so for a
// conflict, but Linux and macOS never do; a security module does (AppArmor, SELinux).
bool IsContention(int number) { return number == EWOULDBLOCK || number == EAGAIN; }

int LockOnce(int fd, Mechanism mechanism, Mode mode, bool wait) {
  if (mechanism == Mechanism::kFlock) {
    const int operation = mode == Mode::kShared ? LOCK_SH : LOCK_EX;
    return flock(fd, operation | (wait ? 0 : LOCK_NB)) == -1 ? errno : 0;
  }
  return wait ? FcntlWait(fd, ToFcntl(mode)) : FcntlTry(fd, ToFcntl(mode));
}

Syscall CallOf(Mechanism mechanism) {
  return mechanism == Mechanism::kFlock ? Syscall::kFlock : Syscall::kFcntl;
}

Named Compare(const FileIdentity& identity, const OsError& failed, const Identified& found,
              OsError* error) {
  if (!failed) return found.identity == identity ? Named::kYes : Named::kNo;
  if (IsReplaced(failed.number)) return Named::kNo;
  *error = failed;
  return Named::kUnknown;
}

Named CompareWithCache(const FileIdentity& identity, const char* path, OsError* error) {
  Identified found;
  const int number = IdentifyAt(AT_FDCWD, path, &found);
  const OsError failed = number == 0 ? OsError{} : OsError{Syscall::kStat, number};
  return Compare(identity, failed, found, error);
}

}  // namespace

OsError PathIsTooLong() { return {Syscall::kOpen, ENAMETOOLONG}; }
OsError IsReplacedAlways() { return {Syscall::kStat, ESTALE}; }
OsError IsClosedElsewhere() { return {Syscall::kFstat, EBADF}; }

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  if (this == &other) return *this;
  Close();
  handle_ = other.handle_;
  identity_ = other.identity_;
  system_ = other.system_;
  mechanism_ = other.mechanism_;
  permissions_ = other.permissions_;
  write_error_ = other.write_error_;
  writable_ = other.writable_;
  other.handle_ = -1;
  return *this;
}

// Where an existing file may not be opened so, tries without O_CREAT (fs.protected_regular forbids
// it in sticky directories, even to root) and then, unless it must be written, read-only.
Opened OpenFile::Open(const Opening& opening, OsError* error) {
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
  if (fd == -1) {
    *error = {Syscall::kOpen, first_error};
    Identified found;
    // A socket cannot be opened at all, nor a device without a driver.
    if (IdentifyAt(AT_FDCWD, path, &found) == 0 && found.kind == FileKind::kOther) {
      return Opened::kNotAFile;
    }
    if (first_error == ENOENT) return Opened::kNoParent;
    if (first_error != ESTALE) return Opened::kFailed;
    AskServerForParent(path);
    return Opened::kReplaced;
  }
  handle_ = fd;
  write_error_ = first_error;
  mechanism_ = opening.mechanism;
  permissions_ = opening.permissions;
  const Opened opened = Identify(error);
  if (opened == Opened::kReplaced) AskServerForParent(path);
  return opened;
}

Opened OpenFile::OpenToRead(const char* path, OsError* error) {
  const int fd = OpenRetrying(path, O_RDONLY, 0);
  handle_ = fd;
  if (fd != -1) return Identify(error);
  *error = {Syscall::kOpen, errno};
  return Opened::kFailed;
}

// What was opened. Closes it unless it can be a lock file.
Opened OpenFile::Identify(OsError* error) {
  Identified found;
  int number = IdentifyDescriptor(descriptor(), &found);
  if (number != 0) {
    *error = {Syscall::kFstat, number};
    Close();
    return number == ESTALE ? Opened::kReplaced : Opened::kFailed;
  }
  if (found.kind != FileKind::kRegular) {
    Close();
    return Opened::kNotAFile;
  }
  // A program without standard streams would write its output into the lock file.
  if (handle_ < 3) {
    int copy = -1;
    number = DuplicateAboveStandard(descriptor(), &copy);
    Close();
    if (number != 0) {
      *error = {Syscall::kFcntl, number};
      return Opened::kFailed;
    }
    handle_ = copy;
  }
  identity_ = found.identity;
  system_ = FileSystemOf(descriptor(), identity_);
  return Opened::kOpened;
}

bool OpenFile::DuplicateTo(OpenFile* copy) const {
  int fd = -1;
  if (DuplicateAboveStandard(descriptor(), &fd) != 0) return false;
  copy->Close();
  copy->handle_ = fd;
  copy->identity_ = identity_;
  copy->system_ = system_;
  copy->mechanism_ = mechanism_;
  copy->permissions_ = permissions_;
  return true;
}

void OpenFile::Close() {
  // Once: even after EINTR the descriptor is gone, and its number perhaps reused.
  if (handle_ != -1) close(descriptor());
  handle_ = -1;
}

Attempt OpenFile::TryLock(Mode mode, OsError* error) {
  int number;
  do {
    number = LockOnce(descriptor(), mechanism_, mode, false);
  } while (number == EINTR);
  if (IsContention(number)) return Attempt::kBusy;
  return Judge(number, error);
}

Attempt OpenFile::WaitForLock(Mode mode, Alarm*, OsError* error) {
  if (!system_.waits) return Attempt::kCannotWait;
  const int number = LockOnce(descriptor(), mechanism_, mode, true);
  if (number == EINTR) return Attempt::kBusy;
  if (IsContention(number)) return Attempt::kCannotWait;
  return Judge(number, error);
}

Attempt OpenFile::Judge(int number, OsError* error) const {
  if (number == 0) return Attempt::kLocked;
  if (number == ESTALE) return Attempt::kReplaced;
  // NFS locks by a range that must be open for writing. Why it is not is what the caller can mend.
  const bool lacks_writing = number == EBADF && !writable_;
  *error =
      lacks_writing ? OsError{Syscall::kOpen, write_error_} : OsError{CallOf(mechanism_), number};
  return Attempt::kFailed;
}

OsError OpenFile::Unlock() {
  int number;
  do {
    number = mechanism_ == Mechanism::kFcntl      ? FcntlTry(descriptor(), FcntlLock::kUnlock)
             : flock(descriptor(), LOCK_UN) == -1 ? errno
                                                  : 0;
  } while (number == EINTR);
  if (number == 0 || number == ESTALE) return {};  // of a file that is gone, no lock is left
  return {CallOf(mechanism_), number};
}

Named OpenFile::IsNamedBy(const char* path, OsError* error) const {
  if (!system_.network) return CompareWithCache(identity_, path, error);
  Identified found;
  int created = -1;
  const OsError failed = LookUpOnServer(AT_FDCWD, path, system_, permissions_, &found, &created);
  if (created != -1) close(created);  // for the next attempt
  return Compare(identity_, failed, found, error);
}

Named OpenFile::IsLockedUnder(const char* path, Mode mode, OsError* error) const {
  if (system_.pins_names) return IsNamedBy(path, error);
  if (const int number = system_.network ? AskServerForParent(path) : 0) {
    return Compare(identity_, {Syscall::kStat, number}, {}, error);
  }
  const Named named = CompareWithCache(identity_, path, error);
  if (named != Named::kYes || !system_.tests_on_server) return named;
  // After its lease a server gives a silent machine's lock to others (RFC 8881, section 8.3).
  const int number = FcntlTest(descriptor(), ToFcntl(mode));
  if (number == 0) return Named::kYes;
  if (IsContention(number) || number == ESTALE) return Named::kNo;
  *error = {Syscall::kFcntl, number};
  return Named::kUnknown;
}

Holding OpenFile::LookAtLock() const { return nfl::LookAtLock(descriptor()); }

int OpenFile::Read(void* buffer, size_t size, int64_t position, OsError* error) const {
  ssize_t count;
  do {
    count = pread(descriptor(), buffer, size, position);
  } while (count == -1 && errno == EINTR);
  if (count == -1) *error = {Syscall::kRead, errno};
  return static_cast<int>(count);
}

int OpenFile::Write(const void* bytes, size_t size, OsError* error) const {
  ssize_t count;
  do {
    count = pwrite(descriptor(), bytes, size, 0);
  } while (count == -1 && errno == EINTR);
  if (count == -1) *error = {Syscall::kWrite, errno};
  // Otherwise it could stay in the cache of this machine for half a minute, and be lost with it.
  const int number = count != -1 && system_.network ? SyncData(descriptor()) : 0;
  if (number == 0) return static_cast<int>(count);
  *error = {Syscall::kWrite, number};
  return -1;
}

int OpenFile::descriptor() const { return static_cast<int>(handle_); }

bool OpenFile::DescriptorIsThis() const {
  Identified now;
  if (const int number = IdentifyDescriptor(descriptor(), &now)) return number != EBADF;
  return now.identity == identity_;
}

}  // namespace nfl
