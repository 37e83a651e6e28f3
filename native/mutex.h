// Mutual exclusion of threads, over Park.

#ifndef NATIVE_FILE_LOCK_MUTEX_H_
#define NATIVE_FILE_LOCK_MUTEX_H_

#include "system/clock.h"
#include "system/threads.h"

namespace nfl {

class Mutex {
 public:
  void Lock() {
    uint32_t seen = kFree;
    if (state_.compare_exchange_strong(seen, kLocked, std::memory_order_acquire)) return;
    while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
      Park(&state_, kContended, kForever);
    }
  }
  void Unlock() {
    if (state_.exchange(kFree, std::memory_order_release) == kContended) UnparkAll(&state_);
  }

 private:
  enum : uint32_t { kFree, kLocked, kContended };
  std::atomic<uint32_t> state_{kFree};
};

class MutexHeld {
 public:
  explicit MutexHeld(Mutex* mutex) : mutex_(mutex) { mutex_->Lock(); }
  ~MutexHeld() { mutex_->Unlock(); }
  MutexHeld(const MutexHeld&) = delete;
  MutexHeld& operator=(const MutexHeld&) = delete;

 private:
  Mutex* mutex_;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_MUTEX_H_
