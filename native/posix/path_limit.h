// The longest path in bytes, with its NUL: PATH_MAX of Linux, which is more than that of macOS.

#ifndef NATIVE_FILE_LOCK_PATH_LIMIT_H_
#define NATIVE_FILE_LOCK_PATH_LIMIT_H_

#include <stddef.h>

namespace nfl {
constexpr size_t kLongestPath = 4096;
}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_PATH_LIMIT_H_
