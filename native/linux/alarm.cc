// Signals and alarms of Linux.
//
// Sets are the kernel's: 64 bits, signal n in bit n-1. 32 to 34 belong to the C libraries
// (setuid(2) in a threaded process waits for every thread to answer one of them), so they are
// never blocked here and never used as the alarm's.

#include "../system/alarm.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../mutex.h"
#include "../race_point.h"
#include "../system/clock.h"
#include "../system/threads.h"

namespace nfl {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kRingInterval = 1000000;

struct timespec ToTimespec(int64_t nanoseconds) {
  return {static_cast<time_t>(nanoseconds / kSecond), static_cast<long>(nanoseconds % kSecond)};
}

constexpr uint64_t Bit(int number) { return uint64_t{1} << (number - 1); }
constexpr uint64_t kNeverBlocked = Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGFPE) | Bit(SIGILL) |
                                   Bit(SIGTRAP) | Bit(SIGSYS) | Bit(SIGABRT) | Bit(32) | Bit(33) |
                                   Bit(34);

uint64_t ChangeMask(int how, uint64_t set) {
  uint64_t before = 0;
  syscall(SYS_rt_sigprocmask, how, &set, &before, sizeof set);
  return before;
}

// The number of the alarm's signal, 0 before it is needed. Chosen once per process among the
// real-time signals that nobody handles. A thread that loses the race uses the winner's.
std::atomic<int> alarm_signal{0};
Mutex alarm_signal_mutex;

extern "C" void OnAlarm(int) {}

int AlarmSignal() {
  int number = alarm_signal.load(std::memory_order_acquire);
  if (number != 0) return number;
  MutexHeld held(&alarm_signal_mutex);
  number = alarm_signal.load(std::memory_order_acquire);
  for (int candidate = 40; number == 0 && candidate < 64; ++candidate) {
    struct sigaction action = {};
    if (sigaction(candidate, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action.sa_handler = OnAlarm;
    action.sa_flags = SA_ONSTACK;  // and not SA_RESTART: the call must end
    if (sigaction(candidate, &action, nullptr) == 0) number = candidate;
  }
  alarm_signal.store(number, std::memory_order_release);
  return number;
}

}  // namespace

void KeepSignalsFromThisThread() {
  const int alarm = AlarmSignal();
  ChangeMask(SIG_SETMASK, ~(kNeverBlocked | (alarm == 0 ? 0 : Bit(alarm))));
}

SignalsBlocked::SignalsBlocked() : saved_(ChangeMask(SIG_BLOCK, ~kNeverBlocked)) {}
SignalsBlocked::~SignalsBlocked() { ChangeMask(SIG_SETMASK, saved_); }

// A POSIX timer (timer_create(2)) does all that is asked of an alarm: it is directed at one thread
// (SIGEV_THREAD_ID), it repeats, its one queue entry is allocated beforehand, and the kernel starts
// the next interval only when the last signal was delivered.

bool Alarm::MakeReady() {
  if (!exists_ && !Create()) return false;
  struct sigaction action = {};
  return sigaction(AlarmSignal(), nullptr, &action) == 0 && action.sa_handler == OnAlarm &&
         (action.sa_flags & SA_RESTART) == 0;
}

bool Alarm::Create() {
  const int number = AlarmSignal();
  if (number == 0) return false;
  struct sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = number;
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  int timer = 0;
  if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == -1) return false;
  timer_ = timer;
  exists_ = true;
  // A sandbox may allow the one call and not the other (seccomp(2)).
  if (!Disarm()) Destroy();
  return exists_;
}

void Alarm::Destroy() {
  if (exists_) syscall(SYS_timer_delete, static_cast<int>(timer_));
  exists_ = false;
}

bool Alarm::Set(int64_t monotonic_time) {
  RacePoint();  // the wait has ended already
  struct itimerspec times = {};
  // A time that has passed rings at once; zero would disarm.
  times.it_value = ToTimespec(monotonic_time > 0 ? monotonic_time : 1);
  times.it_interval = ToTimespec(kRingInterval);
  return syscall(SYS_timer_settime, static_cast<int>(timer_), TIMER_ABSTIME, &times, nullptr) == 0;
}

bool Alarm::Disarm() {
  struct itimerspec never = {};
  return syscall(SYS_timer_settime, static_cast<int>(timer_), 0, &never, nullptr) == 0;
}

AlarmWindow::AlarmWindow(Alarm* alarm, int64_t first_ring)
    : alarm_(alarm), will_ring_(alarm->Set(first_ring)) {
  saved_ = ChangeMask(SIG_UNBLOCK, Bit(AlarmSignal()));
}

AlarmWindow::~AlarmWindow() {
  const uint64_t alarm = Bit(AlarmSignal());
  ChangeMask(SIG_BLOCK, alarm);
  RacePoint();  // a ring stays pending
  alarm_->Disarm();
  const struct timespec at_once = {};
  while (syscall(SYS_rt_sigtimedwait, &alarm, nullptr, &at_once, sizeof alarm) > 0) {
  }
  ChangeMask(SIG_SETMASK, saved_);
}

}  // namespace nfl
