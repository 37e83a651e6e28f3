// Waiting in the kernel for a lock, with a deadline, and with a way to be told to stop.
//
// A wait runs on a thread of ours, never on libuv's pool of four, which also serves `fs` and which
// the holder may need before it can release. The threads are bounded in number, start on first
// need, and then park for the next wait; they live as long as the process.
//
// Who owns what. While a wait runs, its thread owns the open file; JavaScript gets it back only
// with a grant. So a late grant can never be mistaken for another one's, and nobody closes a
// descriptor on which a thread is about to lock.
//
// How a wait ends. `state` is guarded by the mutex of its Waits and moves once along one of:
//
//   kWaiting -> kEnded                     the thread was first: granted, timed out or failed.
//                                          The wait is on the list of the ended, with its outcome;
//                                          whoever takes it from there owns it and its file.
//   kWaiting -> kCancelling -> kEnded      Cancel was first and the thread has answered: it holds
//                                          nothing, and the file is closed. Cancel frees the wait.
//   kWaiting -> [kCancelling ->] kAbandoned   nobody listens any more (the environment ends, or the
//                                          thread did not answer in time, as in an uninterruptible
//                                          sleep on a network file system). The thread releases
//                                          what it may still be granted and frees the wait.
//
// The interleavings, then:
// - grant, then cancel: Cancel finds kEnded and returns the grant; the caller decides.
// - cancel, then grant: the thread finds that it is no longer kWaiting and closes the file, which
//   releases the lock, before it answers. An abandoned wait never keeps a lock.
// - deadline against either: the thread itself judges the deadline, so there is nothing to race.
// - cancel before the thread has come to the wait: it has not attached its alarm yet, so there is
//   nobody to wake; it looks at the state when it attaches, under the same mutex.
// - cancel while the thread is between looking at the state and entering the kernel: the alarm
//   rings again every millisecond until the thread is through.
// - teardown: as cancel, without listening. A thread notifies only for a wait that is kWaiting, and
//   under the mutex, so once every wait is ended no thread touches the environment.

#ifndef NATIVE_FILE_LOCK_LOCK_WAITER_H_
#define NATIVE_FILE_LOCK_LOCK_WAITER_H_

#include "lock_file.h"

namespace nfl {

class Waits;

struct Wait {
  enum State : uint32_t { kWaiting, kCancelling, kEnded, kAbandoned };

  LockFile file;
  Mode mode = Mode::kExclusive;
  int64_t deadline = kForever;
  int handle = -1;  // the caller's name for it

  std::atomic<uint32_t> state{kWaiting};
  Outcome outcome = Outcome::kBusy;
  OsError error;

  Waits* waits = nullptr;
  Alarm* alarm = nullptr;  // the thread's, from when it attaches
  Wait* next = nullptr;    // in the list of the ended
};

// The waits of one environment. Counts references, since threads may outlive it.
// Thread: Start, TakeEnded, Cancel, Abandon and Release on the environment's thread; Attach and
// Finish on the waiter threads.
class Waits {
 public:
  // `notify` is called on a waiter thread when there is something to take.
  Waits(void (*notify)(void*), void* argument) : notify_(notify), argument_(argument) {}

  // False where no thread can be had; then `wait` is as it was. Else the wait runs.
  bool Start(Wait* wait);
  // The next wait that has ended by itself, now the caller's; null when there is none.
  Wait* TakeEnded();
  // Ends a wait and frees it. Waits for the thread's answer (tens of microseconds, at most
  // kPatience). kCancelled, or, when the wait had ended before, its outcome, with the file if it
  // is kGranted.
  Outcome Cancel(Wait* wait, LockFile* file, OsError* error);
  // Ends a wait without listening for the answer.
  void Abandon(Wait* wait);
  // Ends this object's life, now or when the last abandoned wait is over. Every wait must have been
  // ended before.
  void Release();

  bool Attach(Wait* wait, Alarm* alarm);
  // The file is closed already, unless it was granted.
  void Finish(Wait* wait, Outcome outcome, const OsError& error);

 private:
  static constexpr int64_t kPatience = 5000000;

  ~Waits() = default;
  void Unlink(Wait* wait);

  Mutex mutex_;  // guards everything below, and the state and alarm of each wait
  Wait* ended_first_ = nullptr;
  Wait* ended_last_ = nullptr;
  void (*notify_)(void*);
  void* argument_;
  std::atomic<int> references_{1};
};

// Waits on the calling thread instead: until the grant, or about `deadline` (kBusy). The alarm is
// the calling thread's own, made here when there is none yet.
Outcome WaitOnThisThread(LockFile* file, Mode mode, int64_t deadline, Alarm* alarm, OsError* error);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_LOCK_WAITER_H_
