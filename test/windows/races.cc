// Races of the grant of a lock, its deadline and its cancellation, over locks that pend. Takes the
// path of a lock file and a number of rounds, and prints what came of them as JSON.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/libuv.h"
#include "../../native/lock_waiter.h"
#include "pending-locks.h"

namespace nfl {

bool StartThread(void (*body)(void*), void* argument) { return StartSystemThread(body, argument); }

namespace {

constexpr int64_t kPatience = 5000000000;

unsigned seed = 1;
unsigned Random(unsigned below) {
  seed = seed * 1664525 + 1013904223;
  return (seed >> 8) % below;
}

void Spin(unsigned turns) {
  for (volatile unsigned turn = 0; turn < turns; turn = turn + 1) {
  }
}

struct Tally {
  int granted = 0;
  int timed_out = 0;
  int cancelled = 0;
  int wrong = 0;
} tally;

// Every failed expectation is counted, and the first ones are told.
void Expect(bool holds, const char* what, int round) {
  if (holds) return;
  if (++tally.wrong <= 10) fprintf(stderr, "round %d: %s\n", round, what);
}

LockFile OpenFileAt(const char* path) {
  LockFile file;
  OsError error;
  const Opening opening = {path, 0600, Mechanism::kFlock, true, false};
  if (file.Open(opening, &error) != Outcome::kBusy) {
    fprintf(stderr, "Cannot open %s: %d\n", path, error.number);
    exit(1);
  }
  return file;
}

bool Takes(LockFile* file, Mode mode) {
  OsError error;
  return file->TryLock(mode, &error) == Outcome::kGranted;
}

std::atomic<uint32_t> ended{0};

void UnlockFile(void* file) { static_cast<LockFile*>(file)->Unlock(); }

void WaitUntilPending() {
  while (pending_locks::Count().pending == 0 && ended.load() == 0) SwitchToThread();
}

// A cancellation has no patience with a thread that does not run just now: what that was granted,
// it frees a little later.
void WaitUntilIdle() {
  const int64_t limit = MonotonicNanoseconds() + kPatience;
  while (MonotonicNanoseconds() < limit) {
    const pending_locks::Counts counts = pending_locks::Count();
    if (counts.held == 0 && counts.pending == 0) return;
    SwitchToThread();
  }
}

// How the wait of a thread ended, after `holder` and the cancellation, if there is one, have raced.
Outcome Race(Waits* waits, LockFile* holder, LockFile&& waiter, Mode mode, LockFile* file) {
  const unsigned kind =
      Random(4);  // 0: deadline; 1, 2: cancel; 3: the grant comes within the cancel
  Wait* wait = new Wait;
  wait->file = static_cast<LockFile&&>(waiter);
  wait->mode = mode;
  if (kind == 0) wait->deadline = MonotonicNanoseconds() + Random(400000);
  ended.store(0);
  waits->Start(wait);
  if (Random(4) != 0) WaitUntilPending();
  Spin(Random(3000));
  if (kind == 3) {
    pending_locks::OnNextCancel(UnlockFile, holder);
  } else if (kind == 2 || (kind == 0 && Random(4) != 0)) {
    UnlockFile(holder);
    Spin(Random(2000));
  }
  OsError error;
  Outcome outcome;
  if (kind == 0) {
    while (ended.load() == 0) Park(&ended, 0, kForever);
    wait = waits->TakeEnded();
    outcome = wait->outcome;
    if (outcome == Outcome::kGranted) *file = static_cast<LockFile&&>(wait->file);
    delete wait;
  } else {
    outcome = waits->Cancel(wait, file, &error);
    while (waits->TakeEnded() != nullptr) abort();
  }
  pending_locks::OnNextCancel(nullptr, nullptr);
  UnlockFile(holder);
  return outcome;
}

void RaceOfThreads(const char* path, Waits* waits, int round) {
  LockFile holder = OpenFileAt(path);
  LockFile other = OpenFileAt(path);
  LockFile granted;
  Expect(Takes(&holder, Mode::kExclusive), "the lock is free at the beginning", round);
  const Mode mode = Random(2) == 0 ? Mode::kExclusive : Mode::kShared;
  const Outcome outcome = Race(waits, &holder, OpenFileAt(path), mode, &granted);
  if (outcome == Outcome::kGranted) {
    ++tally.granted;
    Expect(!Takes(&other, Mode::kExclusive), "who is granted the lock holds it", round);
    granted.Unlock();
  } else {
    ++(outcome == Outcome::kCancelled ? tally.cancelled : tally.timed_out);
    const bool is_end = outcome == Outcome::kCancelled || outcome == Outcome::kTimedOut;
    Expect(is_end, "a wait is granted, timed out or cancelled", round);
  }
  WaitUntilIdle();
  Expect(pending_locks::Count().held == 0, "nothing is held that nobody was granted", round);
  Expect(pending_locks::Count().pending == 0, "nothing waits that nobody waits for", round);
  Expect(Takes(&other, Mode::kExclusive), "the lock is free at the end", round);
}

struct Release {
  LockFile* holder;
  unsigned spin;
  std::atomic<uint32_t> done{0};
};

void ReleaseSoon(void* argument) {
  Release* release = static_cast<Release*>(argument);
  Spin(release->spin);
  release->holder->Unlock();
  release->done.store(1);
  UnparkAll(&release->done);
}

// The same on the calling thread, which goes on with the same open file.
void RaceHere(const char* path, Alarm* alarm, int round) {
  LockFile holder = OpenFileAt(path);
  LockFile waiter = OpenFileAt(path);
  Expect(Takes(&holder, Mode::kExclusive), "the lock is free at the beginning", round);
  Release release = {&holder, Random(20000)};
  const bool within_cancel = Random(2) == 0;
  if (within_cancel) pending_locks::OnNextCancel(UnlockFile, &holder);
  if (!within_cancel) StartSystemThread(ReleaseSoon, &release);
  OsError error;
  const int64_t deadline = MonotonicNanoseconds() + Random(200000);
  const Outcome outcome = WaitOnThisThread(&waiter, Mode::kExclusive, deadline, alarm, &error);
  while (!within_cancel && release.done.load() == 0) Park(&release.done, 0, kForever);
  pending_locks::OnNextCancel(nullptr, nullptr);
  holder.Unlock();
  ++(outcome == Outcome::kGranted ? tally.granted : tally.timed_out);
  const int expected = outcome == Outcome::kGranted ? 1 : 0;
  Expect(pending_locks::Count().held == expected, "what is told is what is held", round);
  if (expected == 0) Expect(Takes(&waiter, Mode::kExclusive), "the file can lock again", round);
}

}  // namespace
}  // namespace nfl

int main(int, char** arguments) {
  const char* path = arguments[1];
  const int rounds = atoi(arguments[2]);
  nfl::Alarm alarm;
  const auto notify = [](void*) {
    nfl::ended.store(1);
    nfl::UnparkAll(&nfl::ended);
  };
  nfl::Waits* waits = new nfl::Waits(notify, nullptr);
  for (int round = 0; round < rounds; ++round) {
    if (round % 2 == 0) {
      nfl::RaceOfThreads(path, waits, round);
    } else {
      nfl::RaceHere(path, &alarm, round);
    }
  }
  const pending_locks::Counts counts = pending_locks::Count();
  const nfl::Tally& tally = nfl::tally;
  printf(
      "{\"granted\":%d,\"timedOut\":%d,\"cancelled\":%d,\"aborted\":%d,\"tooLate\":%d,"
      "\"closedInUse\":%d,\"wrongRequests\":%d,\"wrong\":%d}\n",
      tally.granted, tally.timed_out, tally.cancelled, counts.aborted, counts.too_late,
      counts.closed_in_use, counts.wrong_requests, tally.wrong);
  return 0;
}
