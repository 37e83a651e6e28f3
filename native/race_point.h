// Where threads or processes race, a test build waits for a random moment, so that what one of them
// does in between happens often enough to be tested. In the published binary there is nothing here.

#ifndef NATIVE_FILE_LOCK_RACE_POINT_H_
#define NATIVE_FILE_LOCK_RACE_POINT_H_

#include <stdint.h>

#ifndef NATIVE_FILE_LOCK_RACE_POINTS

// Not a function: even an empty one changes the order in which the compiler sees names.
#define RacePoint() ((void)0)

namespace nfl {
constexpr int64_t kRacePatience = 1;
}  // namespace nfl

#else

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <atomic>

namespace nfl {

// By how much longer is waited for what ought to be immediate.
constexpr int64_t kRacePatience = 1000;

inline uint64_t RaceSeed() {
  // While the addon is being loaded. NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* seed = getenv("NATIVE_FILE_LOCK_RACE_SEED");
  return seed == nullptr ? 0 : strtoull(seed, nullptr, 10);
}

// The seed decides which delays there are and in which order, though not which thread gets which.
inline std::atomic<uint64_t> race_state{RaceSeed()};

// One time in two nothing; otherwise another thread's turn, a moment, or up to 1.3 ms, which is
// longer than the interval of an alarm's rings.
inline void RacePoint() {
  // SplitMix64
  uint64_t bits = race_state.fetch_add(0x9e3779b97f4a7c15, std::memory_order_relaxed);
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  bits ^= bits >> 31;
  const uint64_t choice = bits % 16;
  if (choice < 8) return;
  if (choice < 12) {
    sched_yield();
    return;
  }
  const long most = choice < 15 ? 1 << 16 : 1300000;
  const struct timespec moment = {0, static_cast<long>(bits >> 32) % most};
  nanosleep(&moment, nullptr);
}

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_RACE_POINTS

#endif  // NATIVE_FILE_LOCK_RACE_POINT_H_
