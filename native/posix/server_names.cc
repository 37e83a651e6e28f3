#include "server_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../race_point.h"
#include "parent_directory.h"

namespace nfl {
namespace {

// By a listing of the directory: its entries come from the server, each with its inode. Tells the
// identity only.
OsError FindInList(int directory, const char* name, Identified* found) {
  const int fd = OpenParent(directory, name);
  if (fd == -1) return {Syscall::kOpen, errno};
  if (const int number = IdentifyDescriptor(fd, found)) {
    close(fd);
    return {Syscall::kFstat, number};
  }
  DIR* list = fdopendir(fd);
  if (list == nullptr) {
    const int number = errno;
    close(fd);
    return {Syscall::kOpen, number};
  }
  const char* slash = strrchr(name, '/');
  const char* last = slash == nullptr ? name : slash + 1;
  const struct dirent* entry;
  do {
    errno = 0;
    entry = readdir(list);  // of this thread alone. NOLINT(concurrency-mt-unsafe)
  } while (entry == nullptr ? errno == EINTR : strcmp(entry->d_name, last) != 0);
  const int number = errno;
  if (entry != nullptr) found->identity.inode = entry->d_ino;
  closedir(list);
  if (entry != nullptr) return {};
  return {Syscall::kRead, number == 0 ? ENOENT : number};
}

}  // namespace

OsError LookUpOnServer(int directory, const char* name, const FileSystem& system,
                       unsigned permissions, Identified* found, int* created) {
  *created = -1;
  if (system.pins_names) return FindInList(directory, name, found);
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  do {
    *created = openat(directory, name, kFlags, permissions);
  } while (*created == -1 && errno == EINTR);
  const bool looked_up = *created != -1 || errno == EEXIST;
  // In a directory that may not be written, a name that is not cached, or no longer, is EACCES or
  // its kin, whether there is a file or not: then the next look asks the server.
  if (!looked_up && errno != EACCES && errno != EROFS && errno != EPERM) {
    return {Syscall::kOpen, errno};
  }
  RacePoint();  // the name is given to another file
  int number = IdentifyOnServer(directory, name, found);
  // What is cached now is what the server has.
  if (looked_up && (number == ENOSYS || number == EPERM))
    number = IdentifyAt(directory, name, found);
  if (number != 0) return {Syscall::kStat, number};
  return {};
}

}  // namespace nfl
