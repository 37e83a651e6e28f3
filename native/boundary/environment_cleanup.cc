// The functions of an Environment that remove lock files.

#include "../stale_lock.h"
#include "arguments.h"
#include "environment.h"

namespace nfl {
namespace {

constexpr int kLeftAlone = -1;
constexpr size_t kLongestName = 1024;  // a name of 255 characters of Windows, and a NUL

}  // namespace

Napi::Value Environment::OpenDirectory(const Info& info) {
  const CopiedPath path(info, 0);
  Directory* directory = new Directory;
  const OsError error = directory->Open(path.text());
  if (error) {
    delete directory;
    return Result(info, FailureNumber(error));
  }
  size_t handle = 0;
  while (handle < directories_.size() && directories_[handle] != nullptr) ++handle;
  if (handle == directories_.size()) directories_.push_back(nullptr);
  directories_[handle] = directory;
  return Result(info, static_cast<int>(handle));
}

Napi::Value Environment::CloseDirectory(const Info& info) {
  Directory*& directory = directories_[static_cast<size_t>(Int(info, 0))];
  delete directory;
  directory = nullptr;
  return info.Env().Undefined();
}

Napi::Value Environment::RemoveStale(const Info& info) {
  char subdirectory[kLongestName];
  char name[kLongestName];
  napi_get_value_string_utf8(info.Env(), info[1], subdirectory, sizeof subdirectory, nullptr);
  napi_get_value_string_utf8(info.Env(), info[2], name, sizeof name, nullptr);
  const Bytes buffer = BytesOf(info, 5);
  const StaleLock result =
      RemoveStaleLock(*directories_[static_cast<size_t>(Int(info, 0))], subdirectory, name,
                      ToNanoseconds(Double(info, 3)), Bool(info, 4), buffer.data, buffer.size);
  if (result.fate == StaleLock::Fate::kLeft) return Result(info, kLeftAlone);
  return Result(info, result.fate == StaleLock::Fate::kRemoved ? result.content_length
                                                               : FailureNumber(result.error));
}

}  // namespace nfl
