// What a thread does for a wait, blocking in the kernel aside. A file on a server can take as long
// to open, to lock, to write or to look at as the server is away, so there a thread of ours does
// each of these:
//
//   kLock     opens the file unless it is open, and tries to lock it; once it is granted, by this
//   or
//             by blocking, reads its first bytes, where the caller will record its holder
//   kRecord   writes the holder's record into the locked file
//   kVerify   looks whether the lock is still held, through a descriptor of its own
//   kInspect  opens the file for reading, and reads what it is and its first bytes
//
// And on any system, since the kernel takes its time over its table of locks:
//
//   kReadAll  opens a file for reading, and reads all of it

#ifndef NATIVE_FILE_LOCK_WAIT_JOBS_H_
#define NATIVE_FILE_LOCK_WAIT_JOBS_H_

#include "lock_waiter.h"

namespace nfl {

// Does it once, and never waits for another holder. kBusy: the lock is held by somebody else.
Outcome TryJob(Wait* wait, OsError* error);
// Before the end of a wait is reported: reads what is to be read, and closes the file unless it
// holds the lock.
void EndJob(Wait* wait, Outcome outcome);
// Takes back what was written for a wait that nobody waits for any more, into its file.
void UndoJob(const Wait* wait, Outcome outcome, LockFile* file);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_WAIT_JOBS_H_
