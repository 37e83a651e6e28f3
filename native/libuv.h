// What is used of libuv, and what takes its place in a runtime whose libuv is a facade: Bun ends
// the process when some of its functions are called, and Deno lacks some.

#ifndef NATIVE_FILE_LOCK_LIBUV_H_
#define NATIVE_FILE_LOCK_LIBUV_H_

namespace nfl {

// To be called before anything else here.
void LibuvIsFacade();

// Starts a thread that lives as long as the process. False where none can be had (EAGAIN).
bool StartThread(void (*body)(void*), void* argument);

// Wakes an event loop from another thread.
class LoopWaker {
 public:
  // `on_wake` is called on the loop's thread, once for one or more calls of Wake. The loop does not
  // stay alive for it. Null where libuv is a facade.
  static LoopWaker* Create(void* loop, void (*on_wake)(void*), void* argument);

  void Wake();  // on any thread
  void Ref();
  void Unref();
  // Frees this, in a later turn of the loop, and then calls `closed`.
  void Close(void (*closed)(void*), void* argument);

 private:
  struct Handle;
  LoopWaker() = default;
  ~LoopWaker() = default;

  Handle* handle_ = nullptr;
  void (*on_wake_)(void*) = nullptr;
  void (*closed_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_LIBUV_H_
