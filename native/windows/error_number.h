// libuv's numbers for the errors of Windows.

#ifndef NATIVE_FILE_LOCK_WINDOWS_ERROR_NUMBER_H_
#define NATIVE_FILE_LOCK_WINDOWS_ERROR_NUMBER_H_

#include <uv/errno.h>

#include "../system/error.h"
#include "api.h"

namespace nfl {

// As a positive number.
enum Number : int {
  kBusyNumber = -UV__EBUSY,
  kIsDirectory = -UV__EISDIR,
  kIsLink = -UV__ELOOP,
  kNoEntry = -UV__ENOENT,
  kNotADirectory = -UV__ENOTDIR,
  kPermission = -UV__EPERM,
  kReadOnly = -UV__EROFS,
};

// Of an error of GetLastError.
int NumberOf(DWORD error);

inline OsError Failure(Syscall call, DWORD error) { return {call, NumberOf(error)}; }

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_WINDOWS_ERROR_NUMBER_H_
