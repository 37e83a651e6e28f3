#include "server_names.h"

#include <errno.h>
#include <fcntl.h>

namespace nfl {

OsError LookUpOnServer(int directory, const char* name, unsigned permissions, FileStatus* status,
                       int* created) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  do {
    *created = openat(directory, name, kFlags, permissions);
  } while (*created == -1 && errno == EINTR);
  if (*created == -1 && errno != EEXIST) return {Syscall::kOpen, errno};
  const int number = IdentifyOnServer(directory, name, status);
  if (number != 0) return {Syscall::kStat, number};
  return {};
}

}  // namespace nfl
