// The seam to the system, fourth part: what ends a wait in the kernel.

#ifndef NATIVE_FILE_LOCK_SYSTEM_ALARM_H_
#define NATIVE_FILE_LOCK_SYSTEM_ALARM_H_

#include <stdint.h>

namespace nfl {

// Ends a call in which its thread waits for a lock.
//
// On POSIX by a signal with an empty handler. One that arrives just before the thread enters the
// kernel is lost, so a single one would lose a wake-up now and then. From its time on an alarm
// rings until the thread disarms it, once a millisecond, and never while a ring is still pending
// (so nothing piles up behind a thread that the kernel keeps in an uninterruptible sleep). On
// Windows by a timer that the wait looks at too, and which stays set.
//
// Threads: MakeReady, Disarm and Destroy belong to the thread that is to be interrupted; Set may be
// called by any thread as long as it knows that the alarm exists.
class Alarm {
 public:
  // Before each wait: whether the alarm can end it. False where the system gives no signal or no
  // timer, and where the program has taken our signal for itself since.
  bool MakeReady();
  void Destroy();
  // From when on it rings, on the monotonic clock; at once if that is past. False: it will not
  // ring, so the wait must not begin.
  bool Set(int64_t monotonic_time);
  // False: it may go on ringing, which only wakes its thread.
  bool Disarm();
  bool exists() const { return exists_; }
  intptr_t timer() const { return timer_; }

 private:
  bool Create();

  bool exists_ = false;
  intptr_t timer_ = 0;
};

// A thread that is not ours lets the alarm's signal through only inside one of these, so that no
// late ring ever interrupts a system call of the host program.
class AlarmWindow {
 public:
  AlarmWindow(Alarm* alarm, int64_t first_ring);
  ~AlarmWindow();
  AlarmWindow(const AlarmWindow&) = delete;
  AlarmWindow& operator=(const AlarmWindow&) = delete;
  bool will_ring() const { return will_ring_; }

 private:
  Alarm* alarm_;
  bool will_ring_;
  [[maybe_unused]] uint64_t saved_ = 0;  // a mask of signals; of none on Windows
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_SYSTEM_ALARM_H_
