#include "lock_waiter.h"

#include <errno.h>

#include "thread.h"

namespace nfl {
namespace {

constexpr int kMostThreads = 64;
constexpr int64_t kPollInterval = 5000000;

// One thread. Whoever takes it from the list of the idle writes `assigned`; the thread reads it
// once it has seen `has_work`.
struct Worker {
  std::atomic<uint32_t> has_work{0};
  Wait* assigned = nullptr;
  Worker* next_idle = nullptr;
  Alarm alarm;
};

Mutex threads_mutex;  // guards these two; never taken together with another mutex
Worker* idle_workers = nullptr;
int worker_count = 0;

// The outcome of a wait, which is Cancelled also where it does not matter any more.
Outcome RunWait(Wait* wait, Alarm* alarm, OsError* error) {
  if (!alarm->exists() && !alarm->Create()) {
    // Nobody could ever end this wait. The caller will poll instead.
    *error = {Syscall::kTimer, EAGAIN};
    return Outcome::kFailed;
  }
  if (wait->deadline != kForever) alarm->Set(wait->deadline);
  if (!wait->waits->Attach(wait, alarm)) return Outcome::kCancelled;
  for (;;) {
    const Outcome outcome = wait->file.LockUnlessInterrupted(wait->mode, error);
    if (outcome != Outcome::kBusy) return outcome;
    if (wait->state.load(std::memory_order_acquire) != Wait::kWaiting) return Outcome::kCancelled;
    if (MonotonicNanoseconds() >= wait->deadline) return Outcome::kTimedOut;
  }
}

void WorkerBody(void* argument) {
  Worker* worker = static_cast<Worker*>(argument);
  KeepSignalsFromThisThread();
  for (;;) {
    while (worker->has_work.load(std::memory_order_acquire) == 0) {
      Park(&worker->has_work, 0, kForever);
    }
    worker->has_work.store(0, std::memory_order_relaxed);
    Wait* wait = worker->assigned;
    OsError error;
    const Outcome outcome = RunWait(wait, &worker->alarm, &error);
    if (outcome != Outcome::kGranted) wait->file.Close();
    {
      // Before anybody hears that the wait is over and starts another one, which else would start
      // another thread too. This thread takes it up in the next turn.
      MutexHeld held(&threads_mutex);
      worker->next_idle = idle_workers;
      idle_workers = worker;
    }
    wait->waits->Finish(wait, outcome, error);  // the last use of the wait
    worker->alarm.Disarm();
  }
}

// An idle thread, or a new one; null where none can be had.
Worker* TakeWorker() {
  {
    MutexHeld held(&threads_mutex);
    if (idle_workers != nullptr) {
      Worker* worker = idle_workers;
      idle_workers = worker->next_idle;
      return worker;
    }
    if (worker_count == kMostThreads) return nullptr;
    ++worker_count;
  }
  Worker* worker = new Worker;
  SignalsBlocked blocked;
  if (StartThread(WorkerBody, worker)) return worker;
  delete worker;
  MutexHeld held(&threads_mutex);
  --worker_count;
  return nullptr;
}

}  // namespace

bool Waits::Start(Wait* wait) {
  Worker* worker = TakeWorker();
  if (worker == nullptr) return false;
  wait->waits = this;
  references_.fetch_add(1, std::memory_order_relaxed);
  worker->assigned = wait;
  worker->has_work.store(1, std::memory_order_release);
  UnparkAll(&worker->has_work);
  return true;
}

bool Waits::Attach(Wait* wait, Alarm* alarm) {
  MutexHeld held(&mutex_);
  wait->alarm = alarm;
  return wait->state.load(std::memory_order_relaxed) == Wait::kWaiting;
}

void Waits::Finish(Wait* wait, Outcome outcome, const OsError& error) {
  mutex_.Lock();
  if (wait->state.load(std::memory_order_relaxed) == Wait::kWaiting) {
    wait->outcome = outcome;
    wait->error = error;
    wait->state.store(Wait::kEnded, std::memory_order_relaxed);
    if (ended_last_ != nullptr) {
      ended_last_->next = wait;
    } else {
      ended_first_ = wait;
      notify_(argument_);  // once for all that will be on the list when it is heard
    }
    ended_last_ = wait;
  } else {
    mutex_.Unlock();
    wait->file.Close();  // a late grant ends here, before anybody is told that the wait is over
    mutex_.Lock();
    if (wait->state.load(std::memory_order_relaxed) == Wait::kCancelling) {
      wait->state.store(Wait::kEnded, std::memory_order_relaxed);
      UnparkAll(&wait->state);
    } else {
      delete wait;
    }
  }
  mutex_.Unlock();
  Release();
}

Wait* Waits::TakeEnded() {
  MutexHeld held(&mutex_);
  Wait* wait = ended_first_;
  if (wait != nullptr) Unlink(wait);
  return wait;
}

void Waits::Unlink(Wait* wait) {
  Wait* before = nullptr;
  for (Wait* each = ended_first_; each != wait; each = each->next) before = each;
  (before == nullptr ? ended_first_ : before->next) = wait->next;
  if (ended_last_ == wait) ended_last_ = before;
  wait->next = nullptr;
}

Outcome Waits::Cancel(Wait* wait, LockFile* file, OsError* error) {
  Outcome outcome = Outcome::kCancelled;
  mutex_.Lock();
  if (wait->state.load(std::memory_order_relaxed) == Wait::kEnded) {
    Unlink(wait);
    *file = static_cast<LockFile&&>(wait->file);
    *error = wait->error;
    outcome = wait->outcome;
  } else {
    wait->state.store(Wait::kCancelling, std::memory_order_release);
    if (wait->alarm != nullptr) wait->alarm->Set(0);
    mutex_.Unlock();
    const int64_t limit = MonotonicNanoseconds() + kPatience;
    while (wait->state.load(std::memory_order_acquire) == Wait::kCancelling &&
           MonotonicNanoseconds() < limit) {
      Park(&wait->state, Wait::kCancelling, limit);
    }
    mutex_.Lock();
    if (wait->state.load(std::memory_order_relaxed) == Wait::kCancelling) {
      wait->state.store(Wait::kAbandoned, std::memory_order_relaxed);
      wait = nullptr;  // the thread's now
    }
  }
  mutex_.Unlock();
  delete wait;
  return outcome;
}

void Waits::Abandon(Wait* wait) {
  mutex_.Lock();
  if (wait->state.load(std::memory_order_relaxed) == Wait::kEnded) {
    Unlink(wait);
  } else {
    wait->state.store(Wait::kAbandoned, std::memory_order_release);
    if (wait->alarm != nullptr) wait->alarm->Set(0);
    wait = nullptr;
  }
  mutex_.Unlock();
  delete wait;
}

void Waits::Release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

Outcome WaitOnThisThread(LockFile* file, Mode mode, int64_t deadline, Alarm* alarm,
                         OsError* error) {
  if (!alarm->exists() && !alarm->Create()) {
    const int64_t left = deadline - MonotonicNanoseconds();
    if (left > 0) SleepNanoseconds(left < kPollInterval ? left : kPollInterval);
    return file->TryLock(mode, error);
  }
  AlarmWindow window(alarm, deadline);
  Outcome outcome;
  do {
    outcome = file->LockUnlessInterrupted(mode, error);
  } while (outcome == Outcome::kBusy && MonotonicNanoseconds() < deadline);
  return outcome;
}

}  // namespace nfl
