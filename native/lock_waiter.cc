#include "lock_waiter.h"

#include <stdlib.h>

#include "wait_jobs.h"
#include "waiter_threads.h"

namespace nfl {
namespace {

constexpr int64_t kPollInterval = 5000000;

// For a wait that nothing could end, or that the file system does not know: its caller comes again.
Outcome PollOnThisThread(LockFile* file, Mode mode, int64_t deadline, OsError* error) {
  const int64_t left = deadline - MonotonicNanoseconds();
  if (left > 0) SleepNanoseconds(left < kPollInterval ? left : kPollInterval);
  return file->TryLock(mode, error);
}

}  // namespace

Wait::~Wait() { free(const_cast<char*>(opening.path)); }

bool Waits::Start(Wait* wait) {
  wait->waits = this;
  references_.fetch_add(1, std::memory_order_relaxed);
  return RunOnSomeThread(wait);
}

bool Waits::Attach(Wait* wait, Alarm* alarm) {
  RacePoint();  // it is cancelled without an alarm
  MutexHeld held(&mutex_);
  wait->alarm = alarm;
  return wait->state.load(std::memory_order_relaxed) == Wait::kWaiting;
}

void Waits::Detach(Wait* wait) {
  MutexHeld held(&mutex_);
  wait->alarm = nullptr;
}

void Waits::SetFile(Wait* wait, LockFile&& file) {
  MutexHeld held(&mutex_);
  wait->file = static_cast<LockFile&&>(file);
}

bool Waits::IsSameLock(Wait* wait, const LockFile& other) {
  MutexHeld held(&mutex_);
  return wait->HoldsFile() && other.IsSameLockAs(wait->file);
}

void Waits::Finish(Wait* wait, Outcome outcome, const OsError& error) {
  RacePoint();  // granted, and cancelled
  mutex_.Lock();
  if (wait->state.load(std::memory_order_relaxed) == Wait::kWaiting) {
    wait->outcome = outcome;
    wait->error = error;
    wait->state.store(Wait::kEnded, std::memory_order_relaxed);
    if (ended_last_ != nullptr) {
      ended_last_->next = wait;
    } else {
      ended_first_ = wait;
      RacePoint();         // the environment wants to take it before it is told
      notify_(argument_);  // once for all that will be in the list by the time it is read
    }
    ended_last_ = wait;
  } else {
    mutex_.Unlock();
    RacePoint();  // a late grant that nobody wants
    UndoJob(wait, outcome, &wait->file);
    wait->file.Close();  // a late grant ends here, before the end of the wait is reported
    mutex_.Lock();
    if (wait->state.load(std::memory_order_relaxed) == Wait::kCancelling) {
      wait->state.store(Wait::kEnded, std::memory_order_relaxed);
      UnparkAll(&wait->state);
    } else {
      delete wait;
    }
  }
  mutex_.Unlock();
  RacePoint();  // the environment ends
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

// True: no thread runs the wait, which is the caller's now. Otherwise its state is changed, and the
// thread will see it. Holds mutex_ throughout.
bool Waits::TakeFromPollList(Wait* wait, Wait::State otherwise) {
  if (!RemoveFromPollList(wait, otherwise)) {
    RacePoint();  // its thread enters the kernel
    if (wait->alarm != nullptr) wait->alarm->Set(0);
    return false;
  }
  references_.fetch_sub(1, std::memory_order_relaxed);  // the environment has another one
  return true;
}

Outcome Waits::Cancel(Wait* wait, LockFile* file, OsError* error) {
  Outcome outcome = Outcome::kCancelled;
  mutex_.Lock();
  if (wait->state.load(std::memory_order_relaxed) == Wait::kEnded) {
    Unlink(wait);
    *file = static_cast<LockFile&&>(wait->file);
    *error = wait->error;
    outcome = wait->outcome;
  } else if (!TakeFromPollList(wait, Wait::kCancelling)) {
    mutex_.Unlock();
    RacePoint();  // the answer comes before it is waited for
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
  } else if (!TakeFromPollList(wait, Wait::kAbandoned)) {
    wait = nullptr;
  }
  mutex_.Unlock();
  if (wait != nullptr) UndoJob(wait, wait->outcome, &wait->file);
  delete wait;
}

void Waits::Release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

Outcome WaitOnThisThread(LockFile* file, Mode mode, int64_t deadline, Alarm* alarm,
                         OsError* error) {
  if (!alarm->MakeReady()) return PollOnThisThread(file, mode, deadline, error);
  Outcome outcome = Outcome::kCannotWait;
  {
    AlarmWindow window(alarm, deadline);
    if (window.will_ring()) {
      do {
        outcome = file->LockUnlessInterrupted(mode, alarm, error);
      } while (outcome == Outcome::kBusy && MonotonicNanoseconds() < deadline);
    }
  }
  return outcome == Outcome::kCannotWait ? PollOnThisThread(file, mode, deadline, error) : outcome;
}

}  // namespace nfl
