// The longest path in bytes, with its NUL: 32,767 units of UTF-16, each of up to 3 bytes in UTF-8.

#ifndef NATIVE_FILE_LOCK_PATH_LIMIT_H_
#define NATIVE_FILE_LOCK_PATH_LIMIT_H_

#include <stddef.h>
#include <stdlib.h>

namespace nfl {
constexpr size_t kLongestPath = 3 * 32767 + 1;

// For a path, with room to see that it is longer: it is cut before a character of up to 4 bytes.
// Not on the stack, which here is grown page by page, by a function of a compiler's library.
class PathBuffer {
 public:
  static constexpr size_t kSize = kLongestPath + 4;
  PathBuffer() : text_(static_cast<char*>(malloc(kSize))) {
    if (text_ == nullptr) abort();
  }
  ~PathBuffer() { free(text_); }
  PathBuffer(const PathBuffer&) = delete;
  PathBuffer& operator=(const PathBuffer&) = delete;
  char* text() { return text_; }

 private:
  char* text_;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_PATH_LIMIT_H_
