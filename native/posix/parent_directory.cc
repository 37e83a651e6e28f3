#include "parent_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../system/directory.h"
#include "files.h"
#include "path_limit.h"

namespace nfl {
namespace {

// Writes the path of the parent, and gives its length.
size_t ParentOf(const char* path, char (&parent)[kLongestPath]) {
  const char* slash = strrchr(path, '/');
  if (slash == nullptr) path = ".";
  size_t length = slash == nullptr ? 1 : static_cast<size_t>(slash - path);
  if (length == 0) length = 1;  // the root
  if (length >= kLongestPath) length = kLongestPath - 1;
  memcpy(parent, path, length);
  parent[length] = '\0';
  return length;
}

int Make(const char* directory) {
  int number;
  do {
    number = mkdir(directory, 0777) == -1 ? errno : 0;
  } while (number == EINTR);
  return number == EEXIST ? 0 : number;
}

}  // namespace

Made MakeParent(const char* path, OsError* error) {
  char name[kLongestPath];
  const size_t length = ParentOf(path, name);
  // Up to the first that can be made, or is there; and down again.
  int number;
  while ((number = Make(name)) == ENOENT) {
    char* slash = strrchr(name, '/');
    if (slash == nullptr || slash == name) break;
    *slash = '\0';
  }
  while (number == 0 && strlen(name) < length) {
    name[strlen(name)] = '/';
    number = Make(name);
  }
  if (number == 0) return Made::kMade;
  *error = {Syscall::kMkdir, number};
  return number == ENOENT || number == ESTALE ? Made::kVanished : Made::kFailed;
}

int AskServerForParent(const char* path) {
  char parent[kLongestPath];
  ParentOf(path, parent);
  int number;
  do {
    number = AskServer(parent);
  } while (number == EINTR);
  return number;
}

int OpenParent(int directory, const char* path) {
  char parent[kLongestPath];
  ParentOf(path, parent);
  int fd;
  do {
    fd = openat(directory, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (fd == -1 && errno == EINTR);
  return fd;
}

}  // namespace nfl
