#include "server_names.h"

#include <errno.h>
#include <fcntl.h>

#include "race_point.h"

namespace nfl {

OsError LookUpOnServer(int directory, const char* name, unsigned permissions, FileStatus* status,
                       int* created) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  do {
    *created = openat(directory, name, kFlags, permissions);
  } while (*created == -1 && errno == EINTR);
  // In a directory that may not be written, a name that is not cached, or no longer, is EACCES or
  // its kin, whether there is a file or not: then the next look asks the server.
  if (*created == -1 && errno != EEXIST && errno != EACCES && errno != EROFS && errno != EPERM) {
    return {Syscall::kOpen, errno};
  }
  RacePoint();  // the name is given to another file
  const int number = IdentifyOnServer(directory, name, status);
  if (number != 0) return {Syscall::kStat, number};
  return {};
}

}  // namespace nfl
