// The directory that a path is in.

#ifndef NATIVE_FILE_LOCK_PARENT_DIRECTORY_H_
#define NATIVE_FILE_LOCK_PARENT_DIRECTORY_H_

namespace nfl {

// These take an absolute path shorter than PATH_MAX, and return 0 or an errno.

// Makes the directory, and those above it that are missing. ENOENT: another process has removed one
// of them meanwhile, or a link to nowhere stands in the way.
int MakeParent(const char* path);

// See AskServer in os.h.
int AskServerForParent(const char* path);

// Opens the directory of a path, which may be a name in `directory`. -1: see errno.
int OpenParent(int directory, const char* path);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_PARENT_DIRECTORY_H_
