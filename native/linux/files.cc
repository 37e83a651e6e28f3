// Linux. Whatever has more than one version in glibc, or another name in musl, is called through
// syscall(2), so that one file serves both: an unversioned reference binds to the oldest version
// of a symbol (for pthread_cond_timedwait that is one with another clock), fcntl becomes fcntl64
// under _FILE_OFFSET_BITS=64, and stat is no export of glibc before 2.33.

#include "../posix/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef AT_STATX_FORCE_SYNC
#define AT_STATX_FORCE_SYNC 0x2000
#endif
#ifndef F_OFD_SETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
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

void Describe(const struct stat& from, FileStatus* status) {
  status->identity = {from.st_dev, from.st_ino};
  status->is_regular = S_ISREG(from.st_mode);
  status->modified = FileTime(from.st_mtim);
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
  return syscall(SYS_fcntl, fd, command, &range) == -1 ? errno : 0;
}

}  // namespace

namespace {

int Fstat(int fd, struct stat* found) {
  while (syscall(SYS_fstat, fd, found) == -1) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int Fstatat(int directory, const char* path, struct stat* found) {
  while (syscall(SYS_newfstatat, directory, path, found, AT_SYMLINK_NOFOLLOW) == -1) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

// False where there is no statx: kernels before 4.11, and sandboxes that do not know it (EPERM).
bool IdentifyByStatx(int directory, const char* path, int flags, Identified* identified,
                     int* result) {
  struct statx found;
  do {
    *result = syscall(SYS_statx, directory, path, flags, STATX_TYPE | STATX_INO, &found) == -1
                  ? errno
                  : 0;
  } while (*result == EINTR);
  if (*result != 0) {
    return *result != ENOSYS && *result != EPERM;
  }
  // As st_dev, in which stat(2) gives it.
  const uint64_t major = found.stx_dev_major;
  const uint64_t minor = found.stx_dev_minor;
  identified->identity.device = ((major & 0xfffff000) << 32) | ((major & 0xfff) << 8) |
                                ((minor & 0xffffff00) << 12) | (minor & 0xff);
  identified->identity.inode = found.stx_ino;
  identified->kind = KindOf(found.stx_mode);
  return true;
}

int Identify(int failed, const struct stat& from, Identified* found) {
  if (failed == 0) *found = {{from.st_dev, from.st_ino}, KindOf(from.st_mode)};
  return failed;
}

}  // namespace

int StatDescriptor(int fd, FileStatus* status) {
  struct stat found;
  const int failed = Fstat(fd, &found);
  if (failed == 0) Describe(found, status);
  return failed;
}

int StatAt(int directory, const char* path, FileStatus* status) {
  struct stat found;
  const int failed = Fstatat(directory, path, &found);
  if (failed == 0) Describe(found, status);
  return failed;
}

int IdentifyDescriptor(int fd, Identified* identified) {
  int result = 0;
  if (IdentifyByStatx(fd, "", AT_EMPTY_PATH, identified, &result)) return result;
  struct stat found;
  result = Fstat(fd, &found);
  return Identify(result, found, identified);
}

int IdentifyAt(int directory, const char* path, Identified* identified) {
  int result = 0;
  if (IdentifyByStatx(directory, path, AT_SYMLINK_NOFOLLOW, identified, &result)) return result;
  struct stat found;
  result = Fstatat(directory, path, &found);
  return Identify(result, found, identified);
}

int DuplicateAboveStandard(int fd, int* copy) {
  *copy = static_cast<int>(syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3));
  return *copy == -1 ? errno : 0;
}

namespace {

// Those of linux/magic.h and fs/ that have a server, or may have one (FUSE: sshfs, and what Docker
// Desktop shares).
constexpr uint32_t kNfs = 0x6969;
constexpr uint32_t k9p = 0x01021997;
constexpr uint32_t kOtherNetworks[] = {
    0x517B,      // smb
    0xFE534D42,  // smb2
    0xFF534D42,  // cifs
    0x00C36400,  // ceph
    0x5346414F,  // afs
    0x73757245,  // coda
    0x65735546,  // fuse
    0x0BD00BD0,  // lustre
    0x47504653,  // gpfs
    0x786F4256,  // vboxsf
};

}  // namespace

FileSystem FileSystemOf(int fd, const FileIdentity& identity) {
  // One on a block device is this machine's; only the others have the device number 0:n
  // (set_anon_super). Saves a call in the hot path.
  if ((identity.device & 0xfff00) != 0) return {};
  struct statfs found;
  FileSystem system;
  system.network = true;
  if (syscall(SYS_fstatfs, fd, &found) == -1) return system;
  const uint32_t type = static_cast<uint32_t>(found.f_type);
  if (type == kNfs) {
    system.tests_on_server = true;
    return system;
  }
  if (type == k9p) {
    // Blocking, 9p asks the server again every 30 seconds (v9fs_file_do_lock), and EAGAIN ends it.
    system.waits = false;
    // It has no d_revalidate of its own without a cache: an open file's name is never looked up
    // again (fs/9p/vfs_dentry.c).
    system.pins_names = true;
    return system;
  }
  for (const uint32_t network : kOtherNetworks) {
    if (type == network) return system;
  }
  return {};
}

int AskServer(const char* directory) {
  struct statx found;
  constexpr unsigned kFields = STATX_BASIC_STATS;
  if (syscall(SYS_statx, AT_FDCWD, directory, AT_STATX_FORCE_SYNC, kFields, &found) == 0) return 0;
  return errno == ENOSYS || errno == EPERM ? 0 : errno;
}

int IdentifyOnServer(int directory, const char* path, Identified* found) {
  int result = 0;
  IdentifyByStatx(directory, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, found, &result);
  return result;
}

int SyncData(int fd) {
  int number;
  do {
    number = fdatasync(fd) == -1 ? errno : 0;
  } while (number == EINTR);
  return number;
}

int FcntlTest(int fd, FcntlLock lock) {
  struct flock range = WholeFile(lock);
  while (syscall(SYS_fcntl, fd, F_OFD_GETLK, &range) == -1) {
    if (errno != EINTR) return errno;
  }
  return range.l_type == F_UNLCK ? 0 : EAGAIN;
}

int FcntlTry(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLK, lock); }
int FcntlWait(int fd, FcntlLock lock) { return FcntlCall(fd, F_OFD_SETLKW, lock); }

bool MechanismsExclude() { return false; }

// Those of flock(2) are in the kernel's table only: lib/holder/kernel-locks.ts.
Holding LookAtLock(int) { return Holding::kUnknown; }

}  // namespace nfl
