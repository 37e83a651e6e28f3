// The directory that a path is in.

#ifndef NATIVE_FILE_LOCK_POSIX_PARENT_DIRECTORY_H_
#define NATIVE_FILE_LOCK_POSIX_PARENT_DIRECTORY_H_

namespace nfl {

// See AskServer in files.h. 0 or an errno.
int AskServerForParent(const char* path);

// Opens the directory of a path, which may be a name in `directory`. -1: see errno.
int OpenParent(int directory, const char* path);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_POSIX_PARENT_DIRECTORY_H_
