// Removing a lock file that nobody holds, and never one that is held.

#ifndef NATIVE_FILE_LOCK_STALE_LOCK_H_
#define NATIVE_FILE_LOCK_STALE_LOCK_H_

#include <stddef.h>

#include "system/directory.h"

namespace nfl {

struct StaleLock {
  enum class Fate { kLeft, kRemoved, kFailed };
  Fate fate = Fate::kLeft;
  OsError error;
  int content_length = 0;  // of the file's first bytes, read before it was removed
};

// Removes the lock file `name` in the directory `subdirectory` (or, if that is empty, in
// `directory` itself), if it is older than `max_age` (nanoseconds since the last modification) and
// nobody holds it by either mechanism. Left alone: what is young, held, missing or no regular file.
//
// Everything goes through opened directories and follows no link, so that a directory which is
// swapped for a link meanwhile leads nowhere. The file is removed while both locks are held, and
// only if the name still names the locked file: whoever waits for it, or opens it later, finds by
// the same comparison that it is no longer the lock, and starts over.
StaleLock RemoveStaleLock(const Directory& directory, const char* subdirectory, const char* name,
                          int64_t max_age, bool dry_run, void* content, size_t content_size);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_STALE_LOCK_H_
