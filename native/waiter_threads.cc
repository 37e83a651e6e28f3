#include "waiter_threads.h"

#include "libuv.h"
#include "mutex.h"
#include "race_point.h"
#include "wait_jobs.h"

namespace nfl {
namespace {

constexpr int kMostThreads = 256;

// One thread that blocks in the kernel. Whoever takes it from the list of the idle writes
// `assigned`; the thread reads it once it has seen `has_work`.
struct Worker {
  std::atomic<uint32_t> has_work{0};
  Wait* assigned = nullptr;
  Worker* next_idle = nullptr;
  Alarm alarm;
};

Mutex threads_mutex;  // guards these two; never held together with another mutex
Worker* idle_workers = nullptr;
int worker_count = 0;

// The waits that no thread runs. A wait that is being tried is not in the list.
class PollList {
 public:
  // False: the wait was cancelled or abandoned meanwhile, and is not in the list.
  bool Add(Wait* wait) {
    MutexHeld held(&mutex_);
    if (wait->state.load(std::memory_order_relaxed) != Wait::kWaiting) return false;
    wait->in_poll_list = true;
    wait->poll_previous = last_;
    wait->poll_next = nullptr;
    (last_ == nullptr ? first_ : last_->poll_next) = wait;
    last_ = wait;
    ++size_;
    return true;
  }

  bool Remove(Wait* wait, Wait::State otherwise) {
    MutexHeld held(&mutex_);
    if (wait->in_poll_list) {
      Unlink(wait);
      return true;
    }
    wait->state.store(otherwise, std::memory_order_release);
    return false;
  }

  Wait* TakeFirst() {
    MutexHeld held(&mutex_);
    Wait* wait = first_;
    if (wait != nullptr) Unlink(wait);
    return wait;
  }

  int size() {
    MutexHeld held(&mutex_);
    return size_;
  }

 private:
  void Unlink(Wait* wait) {
    (wait->poll_previous == nullptr ? first_ : wait->poll_previous->poll_next) = wait->poll_next;
    (wait->poll_next == nullptr ? last_ : wait->poll_next->poll_previous) = wait->poll_previous;
    wait->in_poll_list = false;
    --size_;
  }

  Mutex mutex_;  // may be taken while the mutex of a Waits is held, never the other way round
  Wait* first_ = nullptr;
  Wait* last_ = nullptr;
  int size_ = 0;
};

PollList poll_list;

// --- Blocking -----------------------------------------------------------------------------------

enum class Blocked { kEnded, kCannotBlock };

// Blocks until the lock is granted, or the wait is over for another reason.
Blocked BlockInKernel(Wait* wait, Alarm* alarm, Outcome* outcome, OsError* error) {
  // A thread that could not be interrupted would ignore the deadline and cancellation.
  if (!alarm->MakeReady()) return Blocked::kCannotBlock;
  if (wait->deadline != kForever && !alarm->Set(wait->deadline)) return Blocked::kCannotBlock;
  *outcome = Outcome::kCancelled;
  if (!wait->waits->Attach(wait, alarm)) return Blocked::kEnded;
  for (;;) {
    *outcome = wait->file.LockUnlessInterrupted(wait->mode, alarm, error);
    if (*outcome == Outcome::kCannotWait) {
      wait->waits->Detach(wait);
      return Blocked::kCannotBlock;
    }
    if (*outcome != Outcome::kBusy) return Blocked::kEnded;
    if (wait->state.load(std::memory_order_acquire) != Wait::kWaiting) {
      *outcome = Outcome::kCancelled;
      return Blocked::kEnded;
    }
    if (MonotonicNanoseconds() >= wait->deadline) {
      *outcome = Outcome::kTimedOut;
      return Blocked::kEnded;
    }
  }
}

Blocked Run(Wait* wait, Alarm* alarm, Outcome* outcome, OsError* error) {
  if (wait->job == Wait::kLock && !wait->opens) return BlockInKernel(wait, alarm, outcome, error);
  for (;;) {
    // Without an alarm: where a server takes longer than the ring's interval to answer, no call
    // would ever come to its end.
    *outcome = TryJob(wait, error);
    if (*outcome != Outcome::kBusy) return Blocked::kEnded;
    if (MonotonicNanoseconds() >= wait->deadline) {
      *outcome = Outcome::kTimedOut;
      return Blocked::kEnded;
    }
    const Blocked result = BlockInKernel(wait, alarm, outcome, error);
    if (result == Blocked::kCannotBlock || *outcome != Outcome::kReplaced) return result;
    wait->waits->Detach(wait);
    alarm->Disarm();
    wait->file.Close();
  }
}

void Finish(Wait* wait, Outcome outcome, const OsError& error) {
  EndJob(wait, outcome);
  wait->waits->Finish(wait, outcome, error);  // the last use of the wait
}

bool StartPoller();
void PollHere();

// False: no thread polls it.
bool Poll(Wait* wait) {
  if (!poll_list.Add(wait)) Finish(wait, Outcome::kCancelled, {});
  return StartPoller();
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
    Outcome outcome = Outcome::kBusy;
    OsError error;
    const Blocked result = Run(wait, &worker->alarm, &outcome, &error);
    if (result == Blocked::kCannotBlock) {
      wait->cannot_block = true;
      if (!Poll(wait)) PollHere();
      wait = nullptr;
    }
    {
      // Before the end of the wait is reported and the next one starts, which would otherwise
      // start another thread. This thread takes up the next wait in the next turn.
      MutexHeld held(&threads_mutex);
      worker->next_idle = idle_workers;
      idle_workers = worker;
    }
    RacePoint();  // it is given the next wait
    if (wait != nullptr) Finish(wait, outcome, error);
    RacePoint();  // the alarm rings once more
    if (worker->alarm.exists()) worker->alarm.Disarm();
  }
}

// An idle thread, or a new one; null if none can be started.
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

bool HandToWorker(Wait* wait) {
  Worker* worker = TakeWorker();
  if (worker == nullptr) return false;
  RacePoint();  // the worker has ended its last wait, but is not parked
  worker->assigned = wait;
  worker->has_work.store(1, std::memory_order_release);
  UnparkAll(&worker->has_work);
  return true;
}

// --- Polling ------------------------------------------------------------------------------------

constexpr int64_t kRoundInterval = 10000000;
constexpr int64_t kRestPerWork = 19;  // 1 part of work and 19 of rest: 5 % of a core
// A wait whose deadline is near stays where it is: many deadlines often expire together, and every
// thread would be reassigned at once.
constexpr int64_t kNearDeadline = 2 * kRoundInterval;

void PollRound() {
  bool may_hand_over = true;
  // Waits that are added meanwhile, or return to the end of the list, are for the next round.
  for (int left = poll_list.size(); left > 0; --left) {
    Wait* wait = poll_list.TakeFirst();
    if (wait == nullptr) return;
    if (may_hand_over && !wait->cannot_block &&
        wait->deadline - kNearDeadline > MonotonicNanoseconds()) {
      if (HandToWorker(wait)) continue;
      may_hand_over = false;  // asking once a round is enough
    }
    RacePoint();  // it is cancelled while it is in no list
    OsError error;
    const Outcome outcome = TryJob(wait, &error);
    if (outcome != Outcome::kBusy) {
      Finish(wait, outcome, error);
    } else if (MonotonicNanoseconds() >= wait->deadline) {
      Finish(wait, Outcome::kTimedOut, {});
    } else if (!poll_list.Add(wait)) {
      Finish(wait, Outcome::kCancelled, {});
    }
  }
}

std::atomic<uint32_t> poller_has_work{0};

void PollerBody(void*) {
  KeepSignalsFromThisThread();
  for (;;) {
    poller_has_work.store(0, std::memory_order_relaxed);
    const int64_t work_before = ThreadCpuNanoseconds();
    PollRound();
    if (poll_list.size() == 0) {
      RacePoint();  // a wait is added
      Park(&poller_has_work, 0, kForever);
      continue;
    }
    const int64_t rest = (ThreadCpuNanoseconds() - work_before) * kRestPerWork;
    SleepNanoseconds(rest > kRoundInterval ? rest : kRoundInterval);
  }
}

// Starts the thread that polls unless it runs already. False: it cannot be started now.
bool StartPoller() {
  static std::atomic<uint32_t> poller{0};  // 1: started, or about to be
  if (poller.exchange(1, std::memory_order_acq_rel) == 0) {
    SignalsBlocked blocked;
    if (!StartThread(PollerBody, nullptr)) {
      poller.store(0, std::memory_order_release);
      return false;
    }
  }
  poller_has_work.store(1, std::memory_order_release);
  UnparkAll(&poller_has_work);
  return true;
}

// For a thread of ours, where no other can be started.
void PollHere() {
  while (PollOnce()) SleepNanoseconds(kRoundInterval);
}

}  // namespace

bool RunOnSomeThread(Wait* wait) { return HandToWorker(wait) || Poll(wait); }

bool PollOnce() {
  PollRound();
  return poll_list.size() > 0 && !StartPoller();
}

bool RemoveFromPollList(Wait* wait, Wait::State otherwise) {
  return poll_list.Remove(wait, otherwise);
}

}  // namespace nfl
