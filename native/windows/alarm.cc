// A waitable timer, which a wait for a lock waits for too. It stays signalled, so none is ever
// lost, and nothing has to be kept away from other threads.

#include "../system/alarm.h"

#include "../system/clock.h"
#include "timer.h"

namespace nfl {

bool Alarm::MakeReady() {
  if (exists_) return true;
  timer_ = FromHandle(NewTimer());
  exists_ = timer_ != 0;
  return exists_;
}

void Alarm::Destroy() {
  if (exists_) CloseHandle(ToHandle(timer_));
  exists_ = false;
}

bool Alarm::Set(int64_t monotonic_time) {
  return SetTimer(ToHandle(timer_), monotonic_time - MonotonicNanoseconds());
}

bool Alarm::Disarm() { return SetTimer(ToHandle(timer_), kForever); }

AlarmWindow::AlarmWindow(Alarm* alarm, int64_t first_ring)
    : alarm_(alarm), will_ring_(alarm->Set(first_ring)) {}

AlarmWindow::~AlarmWindow() { alarm_->Disarm(); }

}  // namespace nfl
