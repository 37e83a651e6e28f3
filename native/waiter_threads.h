// The threads that run waits. They are shared by all environments of the process, start when they
// are first needed, park when they have nothing to do, and live as long as the process.
//
// - Up to 256 threads block in the kernel, one wait each.
// - One more thread polls the waits beyond those, and the waits that a thread could not be
//   interrupted in (no timer, or a program that took our signal). It tries each of them in turn,
//   every 10 ms, or less often: polling never takes more than 5 % of a core. As threads become
//   idle it hands waits over to them.
//
// Where not even that thread can be started, an environment calls PollOnce itself.

#ifndef NATIVE_FILE_LOCK_WAITER_THREADS_H_
#define NATIVE_FILE_LOCK_WAITER_THREADS_H_

#include "lock_waiter.h"

namespace nfl {

// False: the wait is in the poll list, and no thread polls it.
bool RunOnSomeThread(Wait* wait);

// Tries each wait in the poll list once, on the calling thread. True: no thread polls the list, and
// it is not empty, so the caller must come again.
bool PollOnce();

// True: the wait was in the poll list and no longer is. Otherwise some thread runs it, and its
// state has been set to `otherwise`.
bool RemoveFromPollList(Wait* wait, Wait::State otherwise);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_WAITER_THREADS_H_
