// Waiting for a lock, with a deadline and with a way to be cancelled; and, where files are on a
// server, whatever else must not block the environment's thread (wait_jobs.h).
//
// A wait never uses libuv's pool of four threads: `fs` needs that pool too, and so may the holder
// before it can release. Up to kMostThreads waits block in the kernel, each on a thread of ours.
// The waits beyond those are polled (waiter_threads.h). Both kinds end in the same list.
//
// Who owns the open file of a wait, at each time:
//
//   before Start             the caller
//   while the wait runs      the wait. Only the thread that runs it uses the file; a polled wait is
//                            run by whoever took it out of the poll list.
//   in the list of the ended the wait; nobody uses the file
//   after TakeEnded, Cancel  the caller, if the outcome is kGranted; otherwise it is closed
//   after Abandon            the wait: its thread closes the file
//
// So a late grant can never be mistaken for another one, and nobody closes a descriptor on which a
// thread is about to lock. A wait that opens its file itself sets it under the mutex of its Waits,
// where IsSameLock looks at it.
//
// How a wait ends. `state` is guarded by the mutex of its Waits and moves once along one of:
//
//   kWaiting -> kEnded                   The thread was first: granted, timed out or failed. The
//                                        wait is in the list of the ended, with its outcome.
//   kWaiting -> kCancelling -> kEnded    Cancel was first and the thread has answered: it holds
//                                        nothing, and the file is closed. Cancel frees the wait.
//   kWaiting -> [kCancelling ->] kAbandoned   The result is no longer wanted: the environment ends,
//   or
//                                        the thread did not answer in time, because it cannot be
//                                        interrupted (a network file system; a program that took
//                                        our signal). The thread releases what it may still be
//                                        granted, at once, and frees the wait.
//   kWaiting -> freed by Cancel or Abandon    The wait was in the poll list, so no thread was
//                                        running it.
//
// The interleavings:
// - Grant, then cancel: Cancel finds kEnded and returns the grant; the caller decides.
// - Cancel, then grant: the thread finds that the wait is no longer kWaiting and closes the file,
//   which releases the lock, before it answers. A cancelled wait never keeps a lock.
// - Cancel, then the record that was being written: the thread writes the one before it again, and
//   only then closes the file.
// - Deadline against either: the thread itself checks the deadline, so there is no race. A polled
//   wait has its deadline looked at when it is tried; its caller cancels it earlier.
// - Cancel before the thread has come to the wait: there is no alarm yet to wake it; the thread
//   looks at the state when it attaches its alarm, under the same mutex.
// - Cancel while the thread is between its look at the state and the kernel: the alarm rings every
//   millisecond until the thread is through.
// - Cancel while a polled wait is being tried: it is not in the poll list then. Whether it is, and
//   the change to kCancelling, are one step under the poll list's mutex, as are the poller's look
//   at the state and its return to the list. So it cannot slip back into the list unseen.
// - Teardown: as cancel, without waiting for the answer. A thread notifies only for a wait that is
//   kWaiting, and under the mutex, so once every wait has ended no thread touches the environment.

#ifndef NATIVE_FILE_LOCK_LOCK_WAITER_H_
#define NATIVE_FILE_LOCK_LOCK_WAITER_H_

#include <vector>

#include "lock_file.h"
#include "mutex.h"
#include "race_point.h"

namespace nfl {

class Waits;

struct Wait {
  enum State : uint32_t { kWaiting, kCancelling, kEnded, kAbandoned };
  // What is done by a thread: see wait_jobs.h. kRecord, kVerify and kInspect are for files on a
  // server.
  enum Job : uint32_t { kLock, kRecord, kVerify, kInspect, kReadAll };
  // Whether the file is its caller's when the wait has ended with a grant.
  bool HoldsFile() const { return job == kLock || job == kRecord; }

  Wait() = default;
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait();

  Job job = kLock;
  LockFile file;
  Mode mode = Mode::kExclusive;
  int64_t deadline = kForever;
  int handle = -1;  // the caller's name for the file

  bool opens = false;         // the file is opened by the thread, and again when it was replaced
  Opening opening;            // the wait owns the path
  bool reads_record = false;  // kLock: `bytes` are the file's first after the grant
  std::vector<char> bytes;    // kRecord: to be written. kInspect, kReadAll: what was found
  std::vector<char> undo;     // kRecord: written if the wait is cancelled meanwhile

  std::atomic<uint32_t> state{kWaiting};
  Outcome outcome = Outcome::kBusy;
  OsError error;

  Waits* waits = nullptr;
  Alarm* alarm = nullptr;  // the thread's, from when it attaches
  Wait* next = nullptr;    // in the list of the ended

  // Guarded by the mutex of the poll list.
  bool in_poll_list = false;
  bool cannot_block = false;  // no thread could be interrupted in this wait
  Wait* poll_previous = nullptr;
  Wait* poll_next = nullptr;
};

// The waits of one environment. Counts references, since threads may outlive it.
// Thread: Start, TakeEnded, Cancel, Abandon, IsSameLock and Release on the environment's thread;
// Attach, Detach, SetFile and Finish on the thread that runs the wait.
class Waits {
 public:
  // `notify` is called when there is something to take, on the thread that ran the wait.
  Waits(void (*notify)(void*), void* argument) : notify_(notify), argument_(argument) {}

  // Starts the wait, which always succeeds. False: not even a thread that polls could be started,
  // and PollOnce must be called from time to time.
  bool Start(Wait* wait);
  // The next wait that has ended by itself, now the caller's; null when there is none.
  Wait* TakeEnded();
  // Ends a wait and frees it. Waits for the thread's answer (tens of microseconds, at most
  // kPatience). kCancelled, or, when the wait had ended before, its outcome, with the file if that
  // is kGranted.
  Outcome Cancel(Wait* wait, LockFile* file, OsError* error);
  // Ends a wait without listening for the answer.
  void Abandon(Wait* wait);
  // Ends this object's life, now or when the last abandoned wait is over. Every wait must have been
  // ended before.
  void Release();

  // Whether a wait is for the same file as `other`. False while its thread opens it.
  bool IsSameLock(Wait* wait, const LockFile& other);

  // False: it is not waited for any more.
  bool Attach(Wait* wait, Alarm* alarm);
  void Detach(Wait* wait);
  void SetFile(Wait* wait, LockFile&& file);
  // The file is closed already, unless it holds the lock.
  void Finish(Wait* wait, Outcome outcome, const OsError& error);

 private:
  static constexpr int64_t kPatience = 5000000 * kRacePatience;

  ~Waits() = default;
  void Unlink(Wait* wait);
  bool TakeFromPollList(Wait* wait, Wait::State otherwise);

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
