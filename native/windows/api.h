// The system's own headers, without what we never use of them, and what they leave out.

#ifndef NATIVE_FILE_LOCK_WINDOWS_API_H_
#define NATIVE_FILE_LOCK_WINDOWS_API_H_

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif

#include <stdint.h>
#include <windows.h>
// Needs the one before.
#include <winternl.h>

namespace nfl {

inline HANDLE ToHandle(intptr_t handle) { return reinterpret_cast<HANDLE>(handle); }
inline intptr_t FromHandle(HANDLE handle) { return reinterpret_cast<intptr_t>(handle); }

// Whoever has a lock file open may not keep others from anything but by the lock.
constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_WINDOWS_API_H_
