#include "../system/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "files.h"
#include "server_names.h"

namespace nfl {
namespace {

constexpr unsigned kPermissions = 0600;

constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

int OpenRetrying(int directory, const char* name, int flags) {
  int fd;
  do {
    fd = openat(directory, name, flags | kFlags);
  } while (fd == -1 && errno == EINTR);
  return fd;
}

int ToDescriptor(intptr_t handle) { return static_cast<int>(handle); }

}  // namespace

bool IsGone(const OsError& error) {
  const int number = error.number;
  return number == ENOENT || number == ESTALE || number == ENOTDIR || number == ELOOP ||
         number == ENXIO;
}

Directory::~Directory() {
  if (handle_ != -1) close(ToDescriptor(handle_));
}

OsError Directory::Open(const char* path) {
  do {
    handle_ = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (handle_ == -1 && errno == EINTR);
  return handle_ == -1 ? OsError{Syscall::kOpen, errno} : OsError{};
}

OsError Directory::OpenIn(const Directory& parent, const char* name) {
  handle_ = OpenRetrying(ToDescriptor(parent.handle_), name, O_RDONLY | O_DIRECTORY);
  return handle_ == -1 ? OsError{Syscall::kOpen, errno} : OsError{};
}

RemovableFile::~RemovableFile() {
  if (handle_ == -1) return;
  const int fd = ToDescriptor(handle_);
  // By a call of its own: a child between fork and exec may still have a copy of the descriptor.
  if (held_) {
    flock(fd, LOCK_UN);
    if (!MechanismsExclude()) FcntlTry(fd, FcntlLock::kUnlock);
  }
  close(fd);
}

OsError RemovableFile::Look(FileStatus* status) const {
  const int number = StatAt(ToDescriptor(directory_.handle()), name_, status);
  return number == 0 ? OsError{} : OsError{Syscall::kFstat, number};
}

OsError RemovableFile::Open() {
  handle_ = OpenRetrying(ToDescriptor(directory_.handle()), name_, O_RDWR);
  return handle_ == -1 ? OsError{Syscall::kOpen, errno} : OsError{};
}

Attempt RemovableFile::TryLock(OsError* error) {
  const int fd = ToDescriptor(handle_);
  if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
    if (errno == EWOULDBLOCK) return Attempt::kBusy;
    *error = {Syscall::kFlock, errno};
    return Attempt::kFailed;
  }
  held_ = true;
  // Where they exclude each other, the two locks of this one file would too.
  if (MechanismsExclude()) return Attempt::kLocked;
  const int number = FcntlTry(fd, FcntlLock::kExclusive);
  if (number == 0) return Attempt::kLocked;
  if (number == EAGAIN) return Attempt::kBusy;
  *error = {Syscall::kFcntl, number};
  return Attempt::kFailed;
}

// What is cached of a server's names can be old, and would have a file removed that another machine
// made and holds.
bool RemovableFile::IsStillNamed(FileStatus* locked) const {
  const int fd = ToDescriptor(handle_);
  const int directory = ToDescriptor(directory_.handle());
  if (StatDescriptor(fd, locked) != 0) return false;
  const FileSystem system = FileSystemOf(fd, locked->identity);
  if (!system.network) {
    FileStatus named;
    return StatAt(directory, name_, &named) == 0 && locked->identity == named.identity;
  }
  Identified named;
  int created = -1;
  const OsError error = LookUpOnServer(directory, name_, system, kPermissions, &named, &created);
  if (created == -1) return !error && locked->identity == named.identity;
  // There was none any more. What the look has made is removed as any lock file is, unless somebody
  // has locked it meanwhile.
  if (flock(created, LOCK_EX | LOCK_NB) == 0) unlinkat(directory, name_, 0);
  close(created);
  return false;
}

int RemovableFile::Read(void* buffer, size_t size) const {
  const ssize_t count = pread(ToDescriptor(handle_), buffer, size, 0);
  return count > 0 ? static_cast<int>(count) : 0;
}

OsError RemovableFile::Remove() {
  if (unlinkat(ToDescriptor(directory_.handle()), name_, 0) == 0) return {};
  return {Syscall::kUnlink, errno};
}

}  // namespace nfl
