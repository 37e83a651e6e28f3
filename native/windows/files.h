// What is known of an open file, or of one that a path names.

#ifndef NATIVE_FILE_LOCK_WINDOWS_FILES_H_
#define NATIVE_FILE_LOCK_WINDOWS_FILES_H_

#include "../system/directory.h"
#include "api.h"
#include "wide_text.h"

namespace nfl {

enum class Kind {
  kRegular,
  kDirectory,
  kLink,  // a symbolic link or a junction, of either
  kOther,
};

// What both give is 0 or an error of GetLastError.
struct Described {
  FileStatus status;
  Kind kind = Kind::kOther;
};
DWORD Describe(HANDLE file, Described* described);
// Follows no link in the last component. Nobody's way of sharing bars those who only look.
DWORD DescribeNamed(const WideText& path, Described* described);

// INVALID_HANDLE_VALUE and GetLastError, as CreateFileW. Children never inherit it. Follows a link
// in the last component only where `flags` do not say FILE_FLAG_OPEN_REPARSE_POINT.
HANDLE OpenShared(const WideText& path, DWORD access, DWORD disposition, DWORD flags);

// Of the call that has just failed: whether the file has been removed, and only waits for its last
// handle to be closed. To everybody else that looks like a lack of permission.
bool IsBeingRemoved(DWORD error);

// On a server.
bool IsRemote(HANDLE file);

// Waits for the end of what was begun with `request` on a file that is open for overlapped calls,
// whatever the call that began it has returned.
DWORD Finish(HANDLE file, BOOL begun, OVERLAPPED* request, DWORD* count);

int64_t SinceEpoch(const FILETIME& time);  // nanoseconds since 1970

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_WINDOWS_FILES_H_
