// What functions of the addon take and give: see environment.h.

#ifndef NATIVE_FILE_LOCK_BOUNDARY_ARGUMENTS_H_
#define NATIVE_FILE_LOCK_BOUNDARY_ARGUMENTS_H_

#include <napi.h>
#include <stdlib.h>

#include "../lock_file.h"
#include "../system/clock.h"
#include "path_limit.h"

namespace nfl {

constexpr int kNotAFile = -1;
constexpr int kErrnoLimit = 4096;  // Linux keeps errno below this, libuv its own; see lib/native.ts

inline int FailureNumber(const OsError& error) {
  return -(static_cast<int>(error.call) * kErrnoLimit + error.number);
}

inline int ResultNumber(Outcome outcome, const OsError& error) {
  return outcome == Outcome::kFailed     ? FailureNumber(error)
         : outcome == Outcome::kNotAFile ? kNotAFile
                                         : static_cast<int>(outcome);
}

inline int64_t ToNanoseconds(double milliseconds) {
  constexpr double kLongest = 1e12;  // "for ever", and no overflow
  return milliseconds < kLongest ? static_cast<int64_t>(milliseconds * 1e6) : kForever;
}

inline int64_t DeadlineAfter(double milliseconds) {
  const int64_t duration = ToNanoseconds(milliseconds);
  return duration == kForever ? kForever : MonotonicNanoseconds() + duration + 1;
}

inline Mode ToMode(bool exclusive) { return exclusive ? Mode::kExclusive : Mode::kShared; }

// Never inlined: with what node-addon-api does on errors, each is some hundred bytes.
using Info = Napi::CallbackInfo;
[[gnu::noinline]] inline double Double(const Info& info, size_t index) {
  return info[index].As<Napi::Number>();
}
[[gnu::noinline]] inline bool Bool(const Info& info, size_t index) {
  return info[index].As<Napi::Boolean>();
}
[[gnu::noinline]] inline Napi::Value Result(const Info& info, int number) {
  return Napi::Number::New(info.Env(), number);
}
[[gnu::noinline]] inline Napi::Value Result(const Info& info, bool value) {
  return Napi::Boolean::New(info.Env(), value);
}
inline int Int(const Info& info, size_t index) { return static_cast<int>(Double(info, index)); }

// The bytes of a buffer.
struct Bytes {
  char* data;
  size_t size;
};
[[gnu::noinline]] inline Bytes BytesOf(const Info& info, size_t index) {
  void* data = nullptr;
  size_t size = 0;
  napi_get_buffer_info(info.Env(), info[index], &data, &size);
  return {static_cast<char*>(data), size};
}

// A path, in memory of malloc. One that is too long is cut, and still too long to open.
class CopiedPath {
 public:
  CopiedPath(const Info& info, size_t index) {
    text_ = static_cast<char*>(malloc(PathBuffer::kSize));
    if (text_ == nullptr) abort();
    size_t length = 0;
    napi_get_value_string_utf8(info.Env(), info[index], text_, PathBuffer::kSize, &length);
  }
  ~CopiedPath() { free(text_); }
  CopiedPath(const CopiedPath&) = delete;
  CopiedPath& operator=(const CopiedPath&) = delete;

  const char* text() const { return text_; }
  // The caller's to free.
  char* Take() {
    char* text = text_;
    text_ = nullptr;
    return text;
  }

 private:
  char* text_;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_BOUNDARY_ARGUMENTS_H_
