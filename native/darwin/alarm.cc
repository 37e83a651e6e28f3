// Signals and alarms of macOS.
//
// It has no POSIX timers and no real-time signals. An alarm is a dispatch timer whose handler sends
// SIGURG to the alarm's thread: a signal that is ignored by default, and that few programs handle.

#include "../system/alarm.h"

#include <dispatch/dispatch.h>
#include <pthread.h>
#include <signal.h>

#include "../mutex.h"
#include "../race_point.h"
#include "../system/clock.h"
#include "../system/threads.h"

namespace nfl {
namespace {

constexpr int kAlarmSignal = SIGURG;
constexpr int64_t kRingInterval = 1000000;

extern "C" void OnAlarm(int) {}

bool IsOurs(const struct sigaction& action) {
  return action.sa_handler == OnAlarm && (action.sa_flags & SA_RESTART) == 0;
}

// Installed on first need, and only where nobody handles the signal.
bool InstallHandler() {
  static Mutex mutex;
  MutexHeld held(&mutex);
  struct sigaction action = {};
  if (sigaction(kAlarmSignal, nullptr, &action) != 0) return false;
  if (IsOurs(action)) return true;
  if (action.sa_handler != SIG_DFL) return false;
  action.sa_handler = OnAlarm;
  action.sa_flags = SA_ONSTACK;  // and not SA_RESTART: the call must end
  return sigaction(kAlarmSignal, &action, nullptr) == 0;
}

sigset_t AllButFaults() {
  constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t set;
  sigfillset(&set);
  for (const int fault : kFaults) sigdelset(&set, fault);
  return set;
}

sigset_t OnlyAlarm() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kAlarmSignal);
  return set;
}

uint64_t ChangeMask(int how, sigset_t set) {
  sigset_t before = 0;
  pthread_sigmask(how, &set, &before);
  return before;
}

// One at a time, on a queue that gets a thread even while a program keeps those of the global
// queues busy.
dispatch_queue_t RingingQueue() {
  static Mutex mutex;
  static dispatch_queue_t queue = nullptr;
  MutexHeld held(&mutex);
  if (queue == nullptr) queue = dispatch_queue_create("native-file-lock.alarms", nullptr);
  return queue;
}

// What an alarm's `timer_` points to. Freed by dispatch, once no handler can run any more.
class Timer {
 public:
  // Null where there is none to be had.
  static Timer* Create() {
    dispatch_source_t source = dispatch_source_create(DISPATCH_SOURCE_TYPE_TIMER, 0,
                                                      DISPATCH_TIMER_STRICT, RingingQueue());
    if (source == nullptr) return nullptr;
    Timer* timer = new Timer(source);
    dispatch_set_context(source, timer);
    dispatch_source_set_event_handler_f(source, Ring);
    dispatch_set_finalizer_f(source, Free);
    timer->Disarm();
    dispatch_activate(source);
    return timer;
  }

  void Arm(int64_t delay) {
    MutexHeld held(&mutex_);
    is_armed_ = true;
    Start(dispatch_time(DISPATCH_TIME_NOW, delay));
  }

  // Afterwards nothing is sent, and what was sent is pending or delivered: a handler that runs now
  // waits for the mutex or is through. So the thread may end, and its pthread_t with it.
  void Disarm() {
    MutexHeld held(&mutex_);
    is_armed_ = false;
    Start(DISPATCH_TIME_FOREVER);
  }

  void Destroy() {
    Disarm();
    dispatch_source_cancel(source_);
    dispatch_release(source_);
  }

 private:
  explicit Timer(dispatch_source_t source) : source_(source), thread_(pthread_self()) {}

  void Start(dispatch_time_t first) { dispatch_source_set_timer(source_, first, kRingInterval, 0); }

  static void Ring(void* argument) {
    Timer* timer = static_cast<Timer*>(argument);
    RacePoint();  // the timer is disarmed, or its thread ends
    MutexHeld held(&timer->mutex_);
    if (timer->is_armed_) pthread_kill(timer->thread_, kAlarmSignal);
  }

  static void Free(void* argument) { delete static_cast<Timer*>(argument); }

  const dispatch_source_t source_;
  const pthread_t thread_;
  Mutex mutex_;
  bool is_armed_ = false;
};

Timer* ToTimer(intptr_t timer) { return reinterpret_cast<Timer*>(timer); }

}  // namespace

void KeepSignalsFromThisThread() {
  sigset_t set = AllButFaults();
  sigdelset(&set, kAlarmSignal);
  ChangeMask(SIG_SETMASK, set);
}

SignalsBlocked::SignalsBlocked() : saved_(ChangeMask(SIG_BLOCK, AllButFaults())) {}
SignalsBlocked::~SignalsBlocked() { ChangeMask(SIG_SETMASK, static_cast<sigset_t>(saved_)); }

// A handler that is installed in the middle of a wait, with SA_RESTART, makes that wait go on until
// its grant. The next one is polled.
bool Alarm::MakeReady() {
  if (!exists_ && !Create()) return false;
  struct sigaction action = {};
  return sigaction(kAlarmSignal, nullptr, &action) == 0 && IsOurs(action);
}

bool Alarm::Create() {
  if (!InstallHandler()) return false;
  Timer* timer = Timer::Create();
  if (timer == nullptr) return false;
  timer_ = reinterpret_cast<intptr_t>(timer);
  exists_ = true;
  return true;
}

void Alarm::Destroy() {
  if (exists_) ToTimer(timer_)->Destroy();
  exists_ = false;
}

bool Alarm::Set(int64_t monotonic_time) {
  RacePoint();  // the wait has ended already
  const int64_t left = monotonic_time - MonotonicNanoseconds();
  ToTimer(timer_)->Arm(left > 0 ? left : 0);
  return true;
}

bool Alarm::Disarm() {
  ToTimer(timer_)->Disarm();
  return true;
}

AlarmWindow::AlarmWindow(Alarm* alarm, int64_t first_ring)
    : alarm_(alarm), will_ring_(alarm->Set(first_ring)) {
  saved_ = ChangeMask(SIG_UNBLOCK, OnlyAlarm());
}

// The last ring is delivered here, since it could not be taken from what is pending: there is no
// sigtimedwait, and sigwait would wait for ever if another thread's took it.
AlarmWindow::~AlarmWindow() {
  RacePoint();  // a ring comes late
  alarm_->Disarm();
  sigset_t pending;
  while (sigpending(&pending) == 0 && sigismember(&pending, kAlarmSignal) == 1) {
  }
  ChangeMask(SIG_SETMASK, static_cast<sigset_t>(saved_));
}

}  // namespace nfl
