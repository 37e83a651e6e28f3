// Calls an environment back on its own thread, from other threads: by libuv where that is real, and
// otherwise by a thread-safe function, which takes 37 us longer (Node 20).

#ifndef NATIVE_FILE_LOCK_BOUNDARY_NOTIFIER_H_
#define NATIVE_FILE_LOCK_BOUNDARY_NOTIFIER_H_

#include <napi.h>

#include "../libuv.h"

namespace nfl {

// Thread: the environment's own, except Notify.
class Notifier {
 public:
  // `callback` runs in a scope of its own, after which microtasks run, once for one or more calls
  // of Notify. The event loop does not stay alive for it until Ref.
  Notifier(Napi::Env env, void (*callback)(Napi::Env, void*), void* argument)
      : env_(env), callback_(callback), argument_(argument) {
    const Napi::String name = Napi::String::New(env, "native-file-lock");
    uv_loop_s* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    waker_ = LoopWaker::Create(loop, &Notifier::OnWake, this);
    if (waker_ != nullptr) {
      napi_async_init(env, nullptr, name, &context_);
      return;
    }
    napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                    &Notifier::OnCall, &function_);
    napi_unref_threadsafe_function(env, function_);
  }

  void Notify() {  // on any thread
    if (waker_ != nullptr) {
      waker_->Wake();
    } else {
      napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
    }
  }

  void Ref() {
    if (waker_ != nullptr) {
      waker_->Ref();
    } else {
      napi_ref_threadsafe_function(env_, function_);
    }
  }

  void Unref() {
    if (waker_ != nullptr) {
      waker_->Unref();
    } else {
      napi_unref_threadsafe_function(env_, function_);
    }
  }

  // Whether Close calls `closed` in a later turn of the loop, which has to run until then.
  bool ClosesLater() const { return waker_ != nullptr; }

  // No more calls of Notify. Calls nothing back, frees this, and then calls `closed`, perhaps in a
  // later turn of the loop. The runtime itself frees the thread-safe function.
  void Close(void (*closed)(void*), void* argument) {
    LoopWaker* waker = waker_;
    delete this;
    if (waker != nullptr) {
      waker->Close(closed, argument);
    } else {
      closed(argument);
    }
  }

 private:
  ~Notifier() = default;

  static void OnWake(void* self) {
    Notifier* notifier = static_cast<Notifier*>(self);
    const Napi::HandleScope handles(notifier->env_);
    const Napi::CallbackScope callbacks(notifier->env_, notifier->context_);
    notifier->callback_(notifier->env_, notifier->argument_);
  }

  static void OnCall(napi_env env, napi_value, void* self, void*) {
    if (env == nullptr) return;  // the environment is being torn down
    Notifier* notifier = static_cast<Notifier*>(self);
    notifier->callback_(env, notifier->argument_);
  }

  Napi::Env env_;
  void (*callback_)(Napi::Env, void*);
  void* argument_;
  LoopWaker* waker_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_threadsafe_function function_ = nullptr;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_BOUNDARY_NOTIFIER_H_
