// The seam to the system, fifth part: threads.

#ifndef NATIVE_FILE_LOCK_SYSTEM_THREADS_H_
#define NATIVE_FILE_LOCK_SYSTEM_THREADS_H_

#include <stdint.h>

#include <atomic>

namespace nfl {

uint64_t CurrentThread();  // unique among the running threads

// Starts a thread that lives as long as the process, without libuv. False where none can be had.
bool StartSystemThread(void (*body)(void*), void* argument);

// Keeps our code in memory until the process ends: the runtime unloads an addon when the last
// environment that loaded it ends, while parked threads still run its code.
void KeepLoaded();

// Sleeps while `word` holds `expected`, until woken or until `deadline` (monotonic, or kForever).
// May wake spuriously.
void Park(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline);
void UnparkAll(std::atomic<uint32_t>* word);

// Blocks every signal of the calling thread that a host program may handle, faults excepted, and
// lets the alarm's through. For threads of our own. Nothing on Windows, as the next one.
void KeepSignalsFromThisThread();
// Blocks all but faults while it lives, so that a thread created meanwhile starts with them
// blocked.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  [[maybe_unused]] uint64_t saved_ = 0;  // a mask of signals; of none on Windows
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_SYSTEM_THREADS_H_
