#include "pending-locks.h"

#include <string.h>

#undef LockFileEx
#undef UnlockFileEx
#undef CancelIoEx
#undef GetOverlappedResult
#undef CloseHandle
#undef GetProcAddress

namespace pending_locks {
namespace {

constexpr ULONG_PTR kPending = 0x103;
constexpr ULONG_PTR kCancelled = 0xC0000120;
constexpr int kMost = 64;

// A lock that is held, or asked for; in order of arrival.
struct Request {
  HANDLE file;
  uint64_t identity;
  bool exclusive;
  bool held;
  OVERLAPPED* request;
};

SRWLOCK lock = SRWLOCK_INIT;
Request requests[kMost];
int length = 0;
Counts counts = {};
void (*on_next_cancel)(void*) = nullptr;
void* on_next_cancel_argument = nullptr;

struct Locked {
  Locked() { AcquireSRWLockExclusive(&lock); }
  ~Locked() { ReleaseSRWLockExclusive(&lock); }
};

uint64_t Identify(HANDLE file) {
  BY_HANDLE_FILE_INFORMATION found = {};
  GetFileInformationByHandle(file, &found);
  return (static_cast<uint64_t>(found.nFileIndexHigh) << 32) | found.nFileIndexLow;
}

bool IsBarred(const Request& by) {
  for (int at = 0; at < length; ++at) {
    const Request& each = requests[at];
    if (each.held && each.identity == by.identity && (each.exclusive || by.exclusive)) return true;
  }
  return false;
}

void Remove(int at) {
  --length;
  memmove(&requests[at], &requests[at + 1], static_cast<size_t>(length - at) * sizeof(Request));
}

void End(OVERLAPPED* request, ULONG_PTR status) {
  request->InternalHigh = 0;
  __atomic_store_n(&request->Internal, status, __ATOMIC_RELEASE);
  if (request->hEvent != nullptr) SetEvent(request->hEvent);
}

void GrantAll() {
  for (int at = 0; at < length; ++at) {
    Request& each = requests[at];
    if (each.held || IsBarred(each)) continue;
    each.held = true;
    End(each.request, 0);
    each.request = nullptr;
  }
}

int FindHeld(HANDLE file) {
  for (int at = 0; at < length; ++at) {
    if (requests[at].file == file && requests[at].held) return at;
  }
  return -1;
}

BOOL Fail(DWORD error) {
  SetLastError(error);
  return FALSE;
}

bool IsFirstByte(DWORD low, DWORD high, const OVERLAPPED& request) {
  return low == 1 && high == 0 && request.Offset == 0 && request.OffsetHigh == 0;
}

}  // namespace

BOOL Lock(HANDLE file, DWORD flags, DWORD, DWORD low, DWORD high, OVERLAPPED* request) {
  const bool exclusive = (flags & LOCKFILE_EXCLUSIVE_LOCK) != 0;
  const bool at_once = (flags & LOCKFILE_FAIL_IMMEDIATELY) != 0;
  const Request asked = {file, Identify(file), exclusive, false, request};
  const Locked locked;
  if (!IsFirstByte(low, high, *request) || length == kMost) ++counts.wrong_requests;
  if (!at_once && (request->hEvent == nullptr || FindHeld(file) != -1)) ++counts.wrong_requests;
  const bool barred = IsBarred(asked);
  if (barred && at_once) return Fail(ERROR_LOCK_VIOLATION);
  requests[length++] = asked;
  if (barred) {
    if (request->hEvent != nullptr) ResetEvent(request->hEvent);
    request->Internal = kPending;
    return Fail(ERROR_IO_PENDING);
  }
  requests[length - 1].held = true;
  End(request, 0);
  return TRUE;
}

BOOL Unlock(HANDLE file, DWORD, DWORD low, DWORD high, OVERLAPPED* request) {
  const Locked locked;
  const int at = FindHeld(file);
  if (!IsFirstByte(low, high, *request)) ++counts.wrong_requests;
  if (at == -1) return Fail(ERROR_NOT_LOCKED);
  Remove(at);
  GrantAll();
  End(request, 0);
  return TRUE;
}

BOOL Cancel(HANDLE file, OVERLAPPED* request) {
  if (on_next_cancel != nullptr) {
    const auto call = on_next_cancel;
    on_next_cancel = nullptr;
    call(on_next_cancel_argument);
  }
  const Locked locked;
  for (int at = 0; at < length; ++at) {
    if (requests[at].file != file || requests[at].held || requests[at].request != request) continue;
    Remove(at);
    ++counts.aborted;
    End(request, kCancelled);
    return TRUE;
  }
  ++counts.too_late;
  return Fail(ERROR_NOT_FOUND);
}

BOOL Result(HANDLE file, OVERLAPPED* request, DWORD* count, BOOL wait) {
  const ULONG_PTR status = __atomic_load_n(&request->Internal, __ATOMIC_ACQUIRE);
  const bool is_ours = status == kPending || status == kCancelled || request->hEvent != nullptr;
  if (!is_ours) return GetOverlappedResult(file, request, count, wait);  // of a read or a write
  if (wait) WaitForSingleObject(request->hEvent, INFINITE);
  *count = 0;
  return request->Internal == kCancelled ? Fail(ERROR_OPERATION_ABORTED) : TRUE;
}

BOOL Close(HANDLE handle) {
  {
    const Locked locked;
    for (int at = length - 1; at >= 0; --at) {
      if (requests[at].file != handle) continue;
      ++counts.closed_in_use;
      if (!requests[at].held) End(requests[at].request, kCancelled);
      Remove(at);
    }
    GrantAll();
  }
  return CloseHandle(handle);
}

FARPROC Find(HMODULE module, const char* name) {
  return strcmp(name, "wine_get_version") == 0 ? nullptr : GetProcAddress(module, name);
}

Counts Count() {
  const Locked locked;
  Counts now = counts;
  for (int at = 0; at < length; ++at) ++(requests[at].held ? now.held : now.pending);
  return now;
}

void OnNextCancel(void (*call)(void*), void* argument) {
  on_next_cancel_argument = argument;
  on_next_cancel = call;
}

}  // namespace pending_locks
