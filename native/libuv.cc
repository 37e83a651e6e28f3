#include "libuv.h"

#include <uv.h>

#include "system/threads.h"

// Weak: with BIND_NOW a runtime without these symbols could not load the addon at all (Deno has no
// uv_thread_create_ex).
#pragma weak uv_thread_create
#pragma weak uv_thread_create_ex
#pragma weak uv_async_init
#pragma weak uv_async_send
#pragma weak uv_close
#pragma weak uv_ref
#pragma weak uv_unref

namespace nfl {
namespace {

// Enough for a few system calls and a signal frame with every vector register.
constexpr size_t kStackSize = size_t{256} * 1024;

bool libuv_is_real = true;

}  // namespace

void LibuvIsFacade() { libuv_is_real = false; }

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
  return StartSystemThread(body, argument);
}

struct LoopWaker::Handle {
  uv_async_t async;
  static uv_handle_t* Base(Handle* handle) { return reinterpret_cast<uv_handle_t*>(handle); }
};

LoopWaker* LoopWaker::Create(void* loop, void (*on_wake)(void*), void* argument) {
  if (!libuv_is_real || uv_async_init == nullptr || uv_async_send == nullptr ||
      uv_close == nullptr || uv_ref == nullptr || uv_unref == nullptr) {
    return nullptr;
  }
  LoopWaker* waker = new LoopWaker;
  waker->handle_ = new Handle;
  waker->on_wake_ = on_wake;
  waker->argument_ = argument;
  const auto call = [](uv_async_t* async) {
    LoopWaker* self = static_cast<LoopWaker*>(async->data);
    self->on_wake_(self->argument_);
  };
  if (uv_async_init(static_cast<uv_loop_t*>(loop), &waker->handle_->async, call) != 0) {
    delete waker->handle_;
    delete waker;
    return nullptr;
  }
  waker->handle_->async.data = waker;
  waker->Unref();
  return waker;
}

void LoopWaker::Wake() { uv_async_send(&handle_->async); }
void LoopWaker::Ref() { uv_ref(Handle::Base(handle_)); }
void LoopWaker::Unref() { uv_unref(Handle::Base(handle_)); }

void LoopWaker::Close(void (*closed)(void*), void* argument) {
  closed_ = closed;
  argument_ = argument;
  uv_close(Handle::Base(handle_), [](uv_handle_t* handle) {
    LoopWaker* self = static_cast<LoopWaker*>(handle->data);
    const auto call = self->closed_;
    void* const with = self->argument_;
    delete self->handle_;
    delete self;
    call(with);
  });
}

}  // namespace nfl
