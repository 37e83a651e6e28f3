// In place of the system's locks, for files of one process: requests that pend, and end once each,
// by the grant or by being cancelled, as on Windows. Wine has none that pend. To be included before
// the sources that use them (-include).

#ifndef NATIVE_FILE_LOCK_TEST_PENDING_LOCKS_H_
#define NATIVE_FILE_LOCK_TEST_PENDING_LOCKS_H_

#ifdef __cplusplus

#include "../../native/windows/api.h"

namespace pending_locks {

BOOL Lock(HANDLE file, DWORD flags, DWORD, DWORD low, DWORD high, OVERLAPPED* request);
BOOL Unlock(HANDLE file, DWORD, DWORD low, DWORD high, OVERLAPPED* request);
BOOL Cancel(HANDLE file, OVERLAPPED* request);
BOOL Result(HANDLE file, OVERLAPPED* request, DWORD* count, BOOL wait);
BOOL Close(HANDLE handle);
// What of the system the sources look for, to learn that they run under Wine.
FARPROC Find(HMODULE module, const char* name);

struct Counts {
  int pending;         // now
  int held;            // now
  int aborted;         // cancelled
  int too_late;        // cancelled when the grant had come first
  int closed_in_use;   // files that were closed while they held a lock, or waited for one
  int wrong_requests;  // another range, no event to end by, or twice the same lock
};
Counts Count();

// Called at the beginning of each Cancel, once.
void OnNextCancel(void (*call)(void*), void* argument);

}  // namespace pending_locks

#define LockFileEx pending_locks::Lock
#define UnlockFileEx pending_locks::Unlock
#define CancelIoEx pending_locks::Cancel
#define GetOverlappedResult pending_locks::Result
#define CloseHandle pending_locks::Close
#define GetProcAddress pending_locks::Find

#endif

#endif  // NATIVE_FILE_LOCK_TEST_PENDING_LOCKS_H_
