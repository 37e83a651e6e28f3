#include <string.h>

#include "../system/directory.h"
#include "error_number.h"
#include "files.h"

namespace nfl {
namespace {

// What the system says of a directory that is there is not always that it is there: at the root of
// a drive it lacks permission.
int Make(const wchar_t* directory) {
  if (CreateDirectoryW(directory, nullptr)) return 0;
  const DWORD failed = GetLastError();
  const DWORD attributes = GetFileAttributesW(directory);
  if (attributes == INVALID_FILE_ATTRIBUTES) return NumberOf(failed);
  return (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? 0 : kNotADirectory;
}

}  // namespace

Made MakeParent(const char* path, OsError* error) {
  WideText wide(path);
  wchar_t* const name = wide.text();
  wchar_t* end = wcsrchr(name, L'\\');
  if (end == nullptr) return Made::kMade;
  *end = L'\0';
  // Up to the first that can be made, or is there; and down again.
  int number;
  while ((number = Make(name)) == kNoEntry) {
    wchar_t* separator = wcsrchr(name, L'\\');
    if (separator == nullptr || separator == name) break;
    *separator = L'\0';
  }
  for (wchar_t* at = name + wcslen(name); number == 0 && at != end; at += wcslen(at)) {
    *at = L'\\';
    number = Make(name);
  }
  if (number == 0) return Made::kMade;
  *error = {Syscall::kMkdir, number};
  return number == kNoEntry ? Made::kVanished : Made::kFailed;
}

}  // namespace nfl
