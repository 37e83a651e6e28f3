// Linux: clocks, sleeping, threads.

#include "../system/threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../race_point.h"
#include "../system/clock.h"

namespace nfl {
namespace {

constexpr int64_t kSecond = 1000000000;

struct timespec ToTimespec(int64_t nanoseconds) {
  return {static_cast<time_t>(nanoseconds / kSecond), static_cast<long>(nanoseconds % kSecond)};
}

int64_t ToNanoseconds(const struct timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * kSecond + time.tv_nsec;
}

int64_t Now(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);  // two versions in glibc, of one function; and no system call
  return ToNanoseconds(now);
}

}  // namespace

int64_t MonotonicNanoseconds() { return Now(CLOCK_MONOTONIC); }
int64_t WallClockNanoseconds() { return Now(CLOCK_REALTIME); }
int64_t ThreadCpuNanoseconds() { return Now(CLOCK_THREAD_CPUTIME_ID); }
uint64_t CurrentThread() { return static_cast<uint64_t>(syscall(SYS_gettid)); }

void SleepNanoseconds(int64_t duration) {
  struct timespec left = ToTimespec(duration);
  while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &left, &left) == -1 && errno == EINTR) {
  }
}

void Park(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline) {
  RacePoint();  // the wake-up comes before the sleep
  if (deadline == kForever) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
    return;
  }
  struct timespec until = ToTimespec(deadline);  // FUTEX_WAIT_BITSET takes an absolute time
  syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, &until, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

void UnparkAll(std::atomic<uint32_t>* word) {
  RacePoint();  // whoever is to be woken is awake already, or gone
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

// The linker has marked the image (-z nodelete).
void KeepLoaded() {}

}  // namespace nfl
