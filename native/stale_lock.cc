#include "stale_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "race_point.h"
#include "server_names.h"

namespace nfl {
namespace {

constexpr unsigned kPermissions = 0600;

class Descriptor {
 public:
  Descriptor(int directory, const char* name, int flags) {
    do {
      fd_ = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    } while (fd_ == -1 && errno == EINTR);
  }
  ~Descriptor() {
    if (fd_ != -1) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

StaleLock Left() { return {}; }

// It vanished meanwhile (ESTALE: on the server), which is no failure; nor is a link or something
// else in its place.
StaleLock Failed(Syscall call, int number) {
  if (number == ENOENT || number == ESTALE || number == ENOTDIR || number == ELOOP ||
      number == ENXIO) {
    return Left();
  }
  return {StaleLock::Fate::kFailed, {call, number}, 0};
}

bool IsStale(const FileStatus& status, int64_t max_age) {
  return status.kind == FileKind::kRegular && WallClockNanoseconds() - status.modified > max_age;
}

// Whether the name is still that of the locked file. What is cached of a server's names can be old,
// and would have a file removed that another machine made and holds.
bool StillNames(int directory, const char* name, int fd, FileStatus* locked) {
  FileStatus named;
  if (StatDescriptor(fd, locked) != 0) return false;
  if (!FileSystemOf(fd, locked->identity).network) {
    return StatAt(directory, name, &named) == 0 && locked->identity == named.identity;
  }
  int created = -1;
  const OsError error = LookUpOnServer(directory, name, kPermissions, &named, &created);
  if (created == -1) return !error && locked->identity == named.identity;
  // There was none any more. What the look has made is removed as any lock file is, unless somebody
  // has locked it meanwhile.
  if (flock(created, LOCK_EX | LOCK_NB) == 0) unlinkat(directory, name, 0);
  close(created);
  return false;
}

StaleLock RemoveIn(int directory, const char* name, int64_t max_age, bool dry_run, void* content,
                   size_t content_size) {
  FileStatus seen;
  if (const int number = StatAt(directory, name, &seen)) return Failed(Syscall::kFstat, number);
  if (!IsStale(seen, max_age)) return Left();

  const Descriptor file(directory, name, O_RDWR);
  if (file.fd() == -1) return Failed(Syscall::kOpen, errno);
  RacePoint();  // it is removed, made again and locked
  if (flock(file.fd(), LOCK_EX | LOCK_NB) == -1) {
    return errno == EWOULDBLOCK ? Left() : Failed(Syscall::kFlock, errno);
  }
  StaleLock result;
  FileStatus locked;
  const int busy = FcntlTry(file.fd(), FcntlLock::kExclusive);
  if (busy != 0) {
    if (busy != EAGAIN) result = Failed(Syscall::kFcntl, busy);
  } else if (StillNames(directory, name, file.fd(), &locked) && IsStale(locked, max_age)) {
    const ssize_t length = pread(file.fd(), content, content_size, 0);
    RacePoint();  // the name is given to another file
    result.content_length = length > 0 ? static_cast<int>(length) : 0;
    if (dry_run || unlinkat(directory, name, 0) == 0) {
      result.fate = StaleLock::Fate::kRemoved;
    } else {
      result = Failed(Syscall::kUnlink, errno);
    }
  }
  // By a call of its own: a child between fork and exec may still have a copy of the descriptor.
  flock(file.fd(), LOCK_UN);
  FcntlTry(file.fd(), FcntlLock::kUnlock);
  return result;
}

}  // namespace

StaleLock RemoveStaleLock(int directory, const char* subdirectory, const char* name,
                          int64_t max_age, bool dry_run, void* content, size_t content_size) {
  if (*subdirectory == '\0') {
    return RemoveIn(directory, name, max_age, dry_run, content, content_size);
  }
  const Descriptor opened(directory, subdirectory, O_RDONLY | O_DIRECTORY);
  if (opened.fd() == -1) return Failed(Syscall::kOpen, errno);
  return RemoveIn(opened.fd(), name, max_age, dry_run, content, content_size);
}

}  // namespace nfl
