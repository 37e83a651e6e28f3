// A waitable timer that stays signalled from its time on.

#ifndef NATIVE_FILE_LOCK_WINDOWS_TIMER_H_
#define NATIVE_FILE_LOCK_WINDOWS_TIMER_H_

#include "api.h"

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x00000002  // Windows 10 1803 and later
#endif

namespace nfl {

// Null where there is none to be had. Otherwise each is good to half a millisecond, and where the
// system has no better ones to a tick of its clock, mostly 16 ms.
inline HANDLE NewTimer() {
  constexpr DWORD kFlags = CREATE_WAITABLE_TIMER_MANUAL_RESET;
  HANDLE timer =
      CreateWaitableTimerExW(nullptr, nullptr, kFlags | CREATE_WAITABLE_TIMER_HIGH_RESOLUTION,
                             TIMER_MODIFY_STATE | SYNCHRONIZE);
  if (timer != nullptr) return timer;
  return CreateWaitableTimerExW(nullptr, nullptr, kFlags, TIMER_MODIFY_STATE | SYNCHRONIZE);
}

// So many nanoseconds from now; at once if it is 0 or less.
inline bool SetTimer(HANDLE timer, int64_t nanoseconds) {
  LARGE_INTEGER due;  // negative: from now on, in steps of 100 ns; 0 is a time in the past
  due.QuadPart = nanoseconds <= 0 ? 0 : -(nanoseconds / 100) - 1;
  return SetWaitableTimer(timer, &due, 0, nullptr, nullptr, FALSE);
}

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_WINDOWS_TIMER_H_
