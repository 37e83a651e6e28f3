// The longest path in bytes, with its NUL: PATH_MAX of Linux, which is more than that of macOS.

#ifndef NATIVE_FILE_LOCK_PATH_LIMIT_H_
#define NATIVE_FILE_LOCK_PATH_LIMIT_H_

#include <stddef.h>

namespace nfl {
constexpr size_t kLongestPath = 4096;

// For a path, with room to see that it is longer: it is cut before a character of up to 4 bytes.
class PathBuffer {
 public:
  static constexpr size_t kSize = kLongestPath + 4;
  char* text() { return text_; }

 private:
  char text_[kSize];
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_PATH_LIMIT_H_
