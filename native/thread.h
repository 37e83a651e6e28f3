// Starting a thread, where libuv is real and where it is not.

#ifndef NATIVE_FILE_LOCK_THREAD_H_
#define NATIVE_FILE_LOCK_THREAD_H_

namespace nfl {

// To be called before the first StartThread in a runtime whose libuv is a facade: Bun ends the
// process when uv_thread_create is called.
void UseThreadsOfTheSystem();

// Starts a thread that lives as long as the process. False where none can be had (EAGAIN).
bool StartThread(void (*body)(void*), void* argument);

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_THREAD_H_
