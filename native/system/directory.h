// The seam to the system, second part: directories, and files that are removed from them.

#ifndef NATIVE_FILE_LOCK_SYSTEM_DIRECTORY_H_
#define NATIVE_FILE_LOCK_SYSTEM_DIRECTORY_H_

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "open_file.h"

namespace nfl {

enum class Made {
  kMade,      // or it was there
  kVanished,  // another process has removed one of them meanwhile, or a link to nowhere is in the
              // way
  kFailed,
};
// Makes the directory of an absolute path, and those above it that are missing.
Made MakeParent(const char* path, OsError* error);

// An open directory. Closed by its destructor.
class Directory {
 public:
  Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory();

  // Follows links.
  OsError Open(const char* path);
  // Follows none.
  OsError OpenIn(const Directory& parent, const char* name);

  intptr_t handle() const { return handle_; }

 private:
  intptr_t handle_ = -1;
};

struct FileStatus {
  FileIdentity identity;
  bool is_regular = false;
  int64_t modified = 0;  // nanoseconds since 1970, on the wall clock
};

// An existing lock file, to be removed through its opened directory, so that a directory which is
// swapped for a link meanwhile leads nowhere. Unlocked and closed by its destructor.
class RemovableFile {
 public:
  // The directory and the name must outlive it.
  RemovableFile(const Directory& directory, const char* name)
      : directory_(directory), name_(name) {}
  RemovableFile(const RemovableFile&) = delete;
  RemovableFile& operator=(const RemovableFile&) = delete;
  ~RemovableFile();

  // What the name names now; a link is itself.
  OsError Look(FileStatus* status) const;
  // Opens the file. Follows no link.
  OsError Open();
  // Locks it so that it excludes every mechanism.
  Attempt TryLock(OsError* error);
  // What the open file is, and whether the name still names it, on its server too. False also where
  // that cannot be told.
  bool IsStillNamed(FileStatus* locked) const;
  int Read(void* buffer, size_t size) const;  // from the start; 0 where that fails
  OsError Remove();

 private:
  const Directory& directory_;
  const char* name_;
  intptr_t handle_ = -1;
  bool held_ = false;
};

// Whether the error says that there is no such file or directory, or none that can be a lock file:
// it vanished, or a link or something else is in its place.
bool IsGone(const OsError& error);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_SYSTEM_DIRECTORY_H_
