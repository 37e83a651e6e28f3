// A path or a name in UTF-16, as Windows wants it.

#ifndef NATIVE_FILE_LOCK_WINDOWS_WIDE_TEXT_H_
#define NATIVE_FILE_LOCK_WINDOWS_WIDE_TEXT_H_

#include <stdlib.h>

#include "api.h"

namespace nfl {

class WideText {
 public:
  // From UTF-8. No character of it takes more units than it had bytes.
  explicit WideText(const char* text) {
    int size = MultiByteToWideChar(CP_UTF8, 0, text, -1, short_, kShort);
    if (size == 0) {
      size = MultiByteToWideChar(CP_UTF8, 0, text, -1, nullptr, 0);
      text_ = static_cast<wchar_t*>(malloc(static_cast<size_t>(size) * sizeof(wchar_t)));
      if (text_ == nullptr) abort();
      MultiByteToWideChar(CP_UTF8, 0, text, -1, text_, size);
    }
    length_ = static_cast<size_t>(size) - 1;
  }
  ~WideText() {
    if (text_ != short_) free(text_);
  }
  WideText(const WideText&) = delete;
  WideText& operator=(const WideText&) = delete;

  wchar_t* text() { return text_; }
  const wchar_t* text() const { return text_; }
  size_t length() const { return length_; }

 private:
  static constexpr int kShort = 264;  // most paths; and every name

  wchar_t short_[kShort];
  wchar_t* text_ = short_;
  size_t length_;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_WINDOWS_WIDE_TEXT_H_
