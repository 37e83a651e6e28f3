// The open files of one environment. Each is known by a small integer, its handle, which is reused
// after removal: reading a number costs less than unwrapping an object.

#ifndef NATIVE_FILE_LOCK_BOUNDARY_OPEN_FILES_H_
#define NATIVE_FILE_LOCK_BOUNDARY_OPEN_FILES_H_

#include <vector>

#include "../lock_waiter.h"

namespace nfl {

// Thread: the environment's own.
class OpenFiles {
 public:
  struct Entry {
    LockFile file;
    Wait* wait = nullptr;  // then the file is the wait's
    int next_free = kNone;
  };

  int Add(LockFile&& file) {
    int handle = first_free_;
    if (handle == kNone) {
      handle = static_cast<int>(entries_.size());
      entries_.emplace_back();
    } else {
      first_free_ = entries_[handle].next_free;
    }
    entries_[handle].file = static_cast<LockFile&&>(file);
    return handle;
  }

  // Closes the file, and so frees its lock.
  void Remove(int handle) {
    entries_[handle].file.Close();
    entries_[handle].next_free = first_free_;
    first_free_ = handle;
  }

  Entry& operator[](int handle) { return entries_[handle]; }
  std::vector<Entry>::iterator begin() { return entries_.begin(); }
  std::vector<Entry>::iterator end() { return entries_.end(); }

 private:
  static constexpr int kNone = -1;

  std::vector<Entry> entries_;
  int first_free_ = kNone;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_BOUNDARY_OPEN_FILES_H_
