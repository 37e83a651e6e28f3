#include "thread.h"

#include <pthread.h>
#include <uv.h>

// Weak: with BIND_NOW a runtime without these symbols could not load the addon at all (Deno has no
// uv_thread_create_ex).
#pragma weak uv_thread_create
#pragma weak uv_thread_create_ex

namespace nfl {
namespace {

// Enough for a few system calls and a signal frame with every vector register.
constexpr size_t kStackSize = 256 * 1024;

bool libuv_is_real = true;

struct Start {
  void (*body)(void*);
  void* argument;
};

void* PthreadBody(void* start_argument) {
  Start* start = static_cast<Start*>(start_argument);
  const Start copy = *start;
  delete start;
  copy.body(copy.argument);
  return nullptr;
}

bool StartPthread(void (*body)(void*), void* argument) {
  Start* start = new Start{body, argument};
  pthread_t thread;
  if (pthread_create(&thread, nullptr, PthreadBody, start) == 0) return true;
  delete start;
  return false;
}

}  // namespace

void UseThreadsOfTheSystem() { libuv_is_real = false; }

bool StartThread(void (*body)(void*), void* argument) {
  uv_thread_t thread;
  if (libuv_is_real && uv_thread_create_ex != nullptr) {
    uv_thread_options_t options = {};
    options.flags = UV_THREAD_HAS_STACK_SIZE;
    options.stack_size = kStackSize;
    return uv_thread_create_ex(&thread, &options, body, argument) == 0;
  }
  if (libuv_is_real && uv_thread_create != nullptr) {
    return uv_thread_create(&thread, body, argument) == 0;
  }
  return StartPthread(body, argument);
}

}  // namespace nfl
