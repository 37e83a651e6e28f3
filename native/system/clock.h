// The seam to the system, third part: clocks.

#ifndef NATIVE_FILE_LOCK_SYSTEM_CLOCK_H_
#define NATIVE_FILE_LOCK_SYSTEM_CLOCK_H_

#include <stdint.h>

namespace nfl {

constexpr int64_t kForever = INT64_MAX;

int64_t MonotonicNanoseconds();
int64_t WallClockNanoseconds();  // since 1970
int64_t ThreadCpuNanoseconds();  // what the calling thread has used of its processor
void SleepNanoseconds(int64_t duration);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_SYSTEM_CLOCK_H_
