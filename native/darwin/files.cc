// macOS.

#include "../posix/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <unistd.h>

// Public in newer SDKs only, in the kernel since 10.11.
#ifndef F_OFD_SETLK
#define F_OFD_SETLK 90
#define F_OFD_SETLKW 91
#define F_OFD_GETLK 92
#endif

namespace nfl {
namespace {

constexpr int64_t kSecond = 1000000000;

// A file's time can be any number of seconds; in nanoseconds, the year 2400 would overflow into the
// past. Far enough from the limits to be subtracted from the present.
int64_t FileTime(const struct timespec& time) {
  constexpr int64_t kMost = INT64_MAX / 2 / kSecond;
  const int64_t seconds = time.tv_sec < -kMost ? -kMost : time.tv_sec > kMost ? kMost : time.tv_sec;
  return seconds * kSecond + time.tv_nsec;
}

FileKind KindOf(mode_t mode) {
  return S_ISREG(mode)   ? FileKind::kRegular
         : S_ISDIR(mode) ? FileKind::kDirectory
         : S_ISLNK(mode) ? FileKind::kLink
                         : FileKind::kOther;
}

FileIdentity IdentityOf(const struct stat& from) {
  return {static_cast<uint64_t>(from.st_dev), static_cast<uint64_t>(from.st_ino)};
}

int Fstat(int fd, struct stat* found) {
  while (fstat(fd, found) == -1) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int Fstatat(int directory, const char* path, struct stat* found) {
  while (fstatat(directory, path, found, AT_SYMLINK_NOFOLLOW) == -1) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int Describe(int failed, const struct stat& from, FileStatus* status) {
  if (failed != 0) return failed;
  status->identity = IdentityOf(from);
  status->is_regular = S_ISREG(from.st_mode);
  status->modified = FileTime(from.st_mtimespec);
  return 0;
}

int Identify(int failed, const struct stat& from, Identified* found) {
  if (failed == 0) *found = {IdentityOf(from), KindOf(from.st_mode)};
  return failed;
}

struct flock WholeFile(FcntlLock lock) {
  struct flock range = {};
  const int type = lock == FcntlLock::kUnlock   ? F_UNLCK
                   : lock == FcntlLock::kShared ? F_RDLCK
                                                : F_WRLCK;
  range.l_type = static_cast<short>(type);
  range.l_whence = SEEK_SET;  // and length 0: to the end of the file, wherever that will be
  return range;
}

int FcntlCall(int fd, int command, FcntlLock lock) {
  struct flock range = WholeFile(lock);
  return fcntl(fd, command, &range) == -1 ? errno : 0;
}

}  // namespace

int StatDescriptor(int fd, FileStatus* status) {
  struct stat found;
  const int failed = Fstat(fd, &found);
  return Describe(failed, found, status);
}

int StatAt(int directory, const char* path, FileStatus* status) {
  struct stat found;
  const int failed = Fstatat(directory, path, &found);
  return Describe(failed, found, status);
}

int IdentifyDescriptor(int fd, Identified* identified) {
  struct stat found;
  const int failed = Fstat(fd, &found);
  return Identify(failed, found, identified);
}

int IdentifyAt(int directory, const char* path, Identified* identified) {
  struct stat found;
  const int failed = Fstatat(directory, path, &found);
  return Identify(failed, found, identified);
}

int DuplicateAboveStandard(int fd, int* copy) {
  *copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return *copy == -1 ? errno : 0;
}

FileSystem FileSystemOf(int fd, const FileIdentity&) {
  struct statfs found;
  FileSystem system;
  system.network = fstatfs(fd, &found) == -1 || (found.f_flags & MNT_LOCAL) == 0;
  return system;
}

// No call goes past the cache of attributes; opening a directory asks the server for them
// (close-to-open consistency). One that may be searched but not read cannot be opened.
int AskServer(const char* directory) {
  const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1) return errno == EACCES || errno == EPERM ? 0 : errno;
  close(fd);
  return 0;
}

int IdentifyOnServer(int directory, const char* path, Identified* found) {
  return IdentifyAt(directory, path, found);
}

int SyncData(int fd) {
  int number;
  do {
    number = fsync(fd) == -1 ? errno : 0;
  } while (number == EINTR);
  return number;
}

// The kernel keeps the locks of flock(2), of fcntl(2), and of both its kinds, in one list for each
// file, and this call looks through all of it: 0 and a type (F_UNLCK: none), or an errno.
namespace {

int FindConflict(int fd, FcntlLock lock, short* type) {
  struct flock range = WholeFile(lock);
  while (fcntl(fd, F_OFD_GETLK, &range) == -1) {
    if (errno != EINTR) return errno;
  }
  *type = range.l_type;
  return 0;
}

}  // namespace

int FcntlTest(int fd, FcntlLock lock) {
  short type = F_UNLCK;
  const int number = FindConflict(fd, lock, &type);
  return number == 0 && type != F_UNLCK ? EAGAIN : number;
}

Holding LookAtLock(int fd) {
  short type = F_UNLCK;
  if (FindConflict(fd, FcntlLock::kExclusive, &type) != 0) return Holding::kUnknown;
  return type == F_UNLCK   ? Holding::kNone
         : type == F_RDLCK ? Holding::kShared
                           : Holding::kExclusive;
}

int FcntlTry(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLK, lock); }
int FcntlWait(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLKW, lock); }

bool MechanismsExclude() { return true; }

}  // namespace nfl
