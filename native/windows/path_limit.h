// The longest path in bytes, with its NUL: 32,767 units of UTF-16, each of up to 3 bytes in UTF-8.

#ifndef NATIVE_FILE_LOCK_PATH_LIMIT_H_
#define NATIVE_FILE_LOCK_PATH_LIMIT_H_

#include <stddef.h>

namespace nfl {
constexpr size_t kLongestPath = 3 * 32767 + 1;
}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_PATH_LIMIT_H_
