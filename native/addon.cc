// The boundary to JavaScript: the only file that speaks Node-API. It converts numbers, keeps the
// open files of one environment, and holds no lock logic. It trusts its caller (lib/native.ts, the
// only one) for the number and types of arguments.
//
// A file is known to JavaScript by a small integer, its handle: reading one costs less than
// unwrapping an object. Every result is one number: an Outcome, a handle, or, when negative, a
// failure that names the system call and its errno.

#include <errno.h>
#include <napi.h>

#include <vector>

#include "lock_waiter.h"
#include "stale_lock.h"
#include "thread.h"

namespace nfl {
namespace {

constexpr int kNotAFile = -1;
constexpr size_t kLongestPath = 4096;  // PATH_MAX
constexpr int kErrnoLimit = 4096;      // Linux keeps errno below this; see also lib/native.ts

int FailureNumber(const OsError& error) {
  return -(static_cast<int>(error.call) * kErrnoLimit + error.number);
}

int ResultNumber(Outcome outcome, const OsError& error) {
  return outcome == Outcome::kFailed ? FailureNumber(error) : static_cast<int>(outcome);
}

// Milliseconds, some 30 years: no difference to "for ever", and no overflow.
constexpr double kLongest = 1e12;

int64_t DeadlineAfter(double milliseconds) {
  if (!(milliseconds < kLongest)) return kForever;
  return MonotonicNanoseconds() + static_cast<int64_t>(milliseconds * 1e6) + 1;
}

// One environment: the main thread's or a worker thread's. Made by Init, ended by the clean-up
// hook. Thread: the environment's own.
class Environment {
 public:
  Environment() : waits_(new Waits(&Environment::Notify, this)) {}

  // Every guard's lock is free when this returns, every wait is told to end (one that was granted
  // at this very moment is freed by its thread), and no thread will call into the environment.
  // Nothing is joined: the kernel may keep a thread in an uninterruptible sleep.
  static void End(void* argument) {
    Environment* environment = static_cast<Environment*>(argument);
    for (Slot& slot : environment->slots_) {
      if (slot.wait != nullptr) environment->waits_->Abandon(slot.wait);
    }
    environment->waits_->Release();
    environment->alarm_.Destroy();
    delete environment;  // and with it the open files
  }

  // open(path, permissions, mechanism, mustWrite): a handle.
  static Napi::Value Open(const Napi::CallbackInfo& info) {
    // PATH_MAX, and room to see that it is longer: a path is cut before a character of up to 4
    // bytes.
    char path[kLongestPath + 4];
    size_t length = 0;
    napi_get_value_string_utf8(info.Env(), info[0], path, sizeof path, &length);
    OsError error = {Syscall::kOpen, ENAMETOOLONG};
    LockFile file;
    LockFile::OpenResult result = LockFile::OpenResult::kFailed;
    if (length < kLongestPath) {
      result = file.Open(path, info[1].As<Napi::Number>().Uint32Value(),
                         static_cast<Mechanism>(Int(info, 2)), Bool(info, 3), &error);
    }
    switch (result) {
      case LockFile::OpenResult::kOpened:
        return Number(info, This(info)->Add(static_cast<LockFile&&>(file)));
      case LockFile::OpenResult::kNotAFile:
        return Number(info, kNotAFile);
      default:
        return Number(info, FailureNumber(error));
    }
  }

  // isWritable(handle)
  static Napi::Value IsWritable(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), This(info)->slots_[Int(info, 0)].file.writable());
  }

  // tryLock(handle, exclusive): kBusy or kGranted, and the handle stays; else it is gone.
  static Napi::Value TryLock(const Napi::CallbackInfo& info) {
    Environment* environment = This(info);
    const int handle = Int(info, 0);
    OsError error;
    const Outcome outcome = environment->slots_[handle].file.TryLock(ModeOf(info, 1), &error);
    return environment->Settle(info, handle, outcome, error);
  }

  // waitHere(handle, exclusive, milliseconds): the same as tryLock, blocking the thread.
  static Napi::Value WaitHere(const Napi::CallbackInfo& info) {
    Environment* environment = This(info);
    const int handle = Int(info, 0);
    OsError error;
    const Outcome outcome =
        WaitOnThisThread(&environment->slots_[handle].file, ModeOf(info, 1),
                         DeadlineAfter(Double(info, 2)), &environment->alarm_, &error);
    return environment->Settle(info, handle, outcome, error);
  }

  // ownLockBars(handle, exclusive): whether a lock of this environment keeps that file from
  // locking.
  static Napi::Value OwnLockBars(const Napi::CallbackInfo& info) {
    Environment* environment = This(info);
    const LockFile& file = environment->slots_[Int(info, 0)].file;
    bool bars = false;
    for (const Slot& slot : environment->slots_) {
      bars = bars || slot.file.StandsInTheWayOf(file, ModeOf(info, 1));
    }
    return Napi::Boolean::New(info.Env(), bars);
  }

  // contend(wait, handle): whether a wait is for the same file as the one that is open by `handle`.
  static Napi::Value Contend(const Napi::CallbackInfo& info) {
    const Environment* environment = This(info);
    // The thread that waits does not change what is read here.
    const LockFile& awaited = environment->slots_[Int(info, 0)].wait->file;
    const LockFile& file = environment->slots_[Int(info, 1)].file;
    return Napi::Boolean::New(info.Env(), awaited.ContendsWith(file));
  }

  // startWait(handle, exclusive, milliseconds): whether a thread now waits. If so the handle names
  // the wait until onWaitEnded is told of it, or until cancelWait.
  static Napi::Value StartWait(const Napi::CallbackInfo& info) {
    Environment* environment = This(info);
    const int handle = Int(info, 0);
    Slot* slot = &environment->slots_[handle];
    Wait* wait = new Wait;
    wait->mode = ModeOf(info, 1);
    wait->deadline = DeadlineAfter(Double(info, 2));
    wait->handle = handle;
    wait->file = static_cast<LockFile&&>(slot->file);
    const bool started = environment->waits_->Start(wait);
    if (started) {
      slot->wait = wait;
    } else {
      slot->file = static_cast<LockFile&&>(wait->file);
      delete wait;
    }
    return Napi::Boolean::New(info.Env(), started);
  }

  // cancelWait(handle): kCancelled, or how the wait had ended before; the handle stays if that is
  // kGranted, else it is gone.
  static Napi::Value CancelWait(const Napi::CallbackInfo& info) {
    Environment* environment = This(info);
    const int handle = Int(info, 0);
    Slot* slot = &environment->slots_[handle];
    OsError error;
    if (slot->wait == nullptr) return Number(info, static_cast<int>(Outcome::kCancelled));
    const Outcome outcome = environment->waits_->Cancel(slot->wait, &slot->file, &error);
    slot->wait = nullptr;
    return environment->Settle(info, handle, outcome, error);
  }

  // unlock(handle): 0 or a failure. The file stays open.
  static Napi::Value Unlock(const Napi::CallbackInfo& info) {
    const OsError error = This(info)->slots_[Int(info, 0)].file.Unlock();
    return Number(info, error ? FailureNumber(error) : 0);
  }

  // close(handle): unlocks if need be, and closes, whatever unlocking says: 0 or its failure.
  static Napi::Value Close(const Napi::CallbackInfo& info) {
    const Napi::Value result = Unlock(info);
    This(info)->Remove(Int(info, 0));
    return result;
  }

  // read(handle, buffer): how many of the file's first bytes are in the buffer now, or a failure.
  static Napi::Value Read(const Napi::CallbackInfo& info) {
    const Napi::Buffer<char> buffer = info[1].As<Napi::Buffer<char>>();
    OsError error;
    const int count =
        This(info)->slots_[Int(info, 0)].file.Read(buffer.Data(), buffer.Length(), &error);
    return Number(info, count < 0 ? FailureNumber(error) : count);
  }

  // write(handle, buffer, length): how many bytes were written at the file's start, or a failure.
  static Napi::Value Write(const Napi::CallbackInfo& info) {
    const Napi::Buffer<char> buffer = info[1].As<Napi::Buffer<char>>();
    OsError error;
    const int count = This(info)->slots_[Int(info, 0)].file.Write(
        buffer.Data(), static_cast<size_t>(Int(info, 2)), &error);
    return Number(info, count < 0 ? FailureNumber(error) : count);
  }

  // removeStale(directory, subdirectory, name, maxAge, dryRun, buffer): -1 when the file was left
  // alone, how many of its first bytes are in the buffer when it was removed, or a failure. The
  // directory is an open descriptor of the caller's.
  static Napi::Value RemoveStale(const Napi::CallbackInfo& info) {
    constexpr int kLeft = -1;
    char subdirectory[256];
    char name[256];
    napi_get_value_string_utf8(info.Env(), info[1], subdirectory, sizeof subdirectory, nullptr);
    napi_get_value_string_utf8(info.Env(), info[2], name, sizeof name, nullptr);
    const double max_age = Double(info, 3);
    const Napi::Buffer<char> buffer = info[5].As<Napi::Buffer<char>>();
    const StaleLock result =
        RemoveStaleLock(Int(info, 0), subdirectory, name,
                        max_age < kLongest ? static_cast<int64_t>(max_age * 1e6) : kForever,
                        Bool(info, 4), buffer.Data(), buffer.Length());
    switch (result.fate) {
      case StaleLock::Fate::kLeft:
        return Number(info, kLeft);
      case StaleLock::Fate::kRemoved:
        return Number(info, result.content_length);
      default:
        return Number(info, FailureNumber(result.error));
    }
  }

  // wallClock(): microseconds since 1970, whole. Date.now() knows milliseconds only.
  static Napi::Value WallClock(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(WallClockNanoseconds() / 1000));
  }

  // pause(microseconds)
  static void Pause(const Napi::CallbackInfo& info) {
    SleepNanoseconds(static_cast<int64_t>(Int(info, 0)) * 1000);
  }

  // onWaitEnded(callback): callback(handle, outcome) is called for each wait that ends by itself.
  // To be called once, before the first wait.
  static void OnWaitEnded(const Napi::CallbackInfo& info) {
    Environment* environment = This(info);
    napi_create_threadsafe_function(
        info.Env(), info[0], nullptr, Napi::String::New(info.Env(), "native-file-lock"), 0, 1,
        nullptr, nullptr, environment, &Environment::Deliver, &environment->notifier_);
    napi_unref_threadsafe_function(info.Env(), environment->notifier_);
    // Hooks run last in, first out, and the function above has just added its own, after which
    // no thread may call it. So ours is taken out and put in again, to run before it.
    napi_remove_env_cleanup_hook(info.Env(), &Environment::End, environment);
    napi_add_env_cleanup_hook(info.Env(), &Environment::End, environment);
  }

  // keepAlive(boolean): whether the event loop stays alive for waits that are pending.
  static void KeepAlive(const Napi::CallbackInfo& info) {
    Environment* environment = This(info);
    (Bool(info, 0) ? napi_ref_threadsafe_function : napi_unref_threadsafe_function)(
        info.Env(), environment->notifier_);
  }

 private:
  struct Slot {
    LockFile file;
    Wait* wait = nullptr;  // then the file is the wait's
    int next_free = kNone;
  };
  static constexpr int kNone = -1;

  ~Environment() = default;

  static Environment* This(const Napi::CallbackInfo& info) {
    return static_cast<Environment*>(info.Data());
  }
  static int Int(const Napi::CallbackInfo& info, size_t index) {
    return info[index].As<Napi::Number>().Int32Value();
  }
  static double Double(const Napi::CallbackInfo& info, size_t index) {
    return info[index].As<Napi::Number>().DoubleValue();
  }
  static bool Bool(const Napi::CallbackInfo& info, size_t index) {
    return info[index].As<Napi::Boolean>().Value();
  }
  static Mode ModeOf(const Napi::CallbackInfo& info, size_t index) {
    return Bool(info, index) ? Mode::kExclusive : Mode::kShared;
  }
  static Napi::Value Number(const Napi::CallbackInfo& info, int number) {
    return Napi::Number::New(info.Env(), number);
  }

  int Add(LockFile&& file) {
    int handle = first_free_;
    if (handle == kNone) {
      handle = static_cast<int>(slots_.size());
      slots_.emplace_back();
    } else {
      first_free_ = slots_[handle].next_free;
    }
    slots_[handle].file = static_cast<LockFile&&>(file);
    return handle;
  }

  void Remove(int handle) {
    slots_[handle].file.Close();
    slots_[handle].next_free = first_free_;
    first_free_ = handle;
  }

  Napi::Value Settle(const Napi::CallbackInfo& info, int handle, Outcome outcome,
                     const OsError& error) {
    if (outcome != Outcome::kBusy && outcome != Outcome::kGranted) Remove(handle);
    return Number(info, ResultNumber(outcome, error));
  }

  // On a waiter thread, under the mutex of the waits.
  static void Notify(void* argument) {
    napi_call_threadsafe_function(static_cast<Environment*>(argument)->notifier_, nullptr,
                                  napi_tsfn_nonblocking);
  }

  static void Deliver(napi_env env, napi_value callback, void* context, void*) {
    if (env == nullptr) return;  // the environment is being torn down
    Environment* environment = static_cast<Environment*>(context);
    napi_value undefined;
    napi_get_undefined(env, &undefined);
    while (Wait* wait = environment->waits_->TakeEnded()) {
      const int handle = wait->handle;
      Slot* slot = &environment->slots_[handle];
      slot->wait = nullptr;
      slot->file = static_cast<LockFile&&>(wait->file);
      napi_value arguments[2];
      napi_create_int32(env, handle, &arguments[0]);
      napi_create_int32(env, ResultNumber(wait->outcome, wait->error), &arguments[1]);
      if (wait->outcome != Outcome::kGranted) environment->Remove(handle);
      delete wait;
      napi_call_function(env, undefined, callback, 2, arguments, nullptr);
      // The callback settles promises and should throw nothing. If it does, as everywhere else it
      // is an uncaught exception, and no reason to lose the news of the other waits.
      bool thrown = false;
      napi_is_exception_pending(env, &thrown);
      if (!thrown) continue;
      napi_value error;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
  }

  Waits* waits_;
  napi_threadsafe_function notifier_ = nullptr;
  Alarm alarm_;  // of this environment's thread, for WaitHere
  std::vector<Slot> slots_;
  int first_free_ = kNone;
};

bool RunsOnBun(Napi::Env env) {
  const Napi::Value process = env.Global().Get("process");
  if (!process.IsObject()) return false;
  const Napi::Value versions = process.As<Napi::Object>().Get("versions");
  return versions.IsObject() && versions.As<Napi::Object>().Has("bun");
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Environment* environment = new Environment;
  napi_add_env_cleanup_hook(env, &Environment::End, environment);
  if (RunsOnBun(env)) UseThreadsOfTheSystem();
#define EXPORT(name, method) \
  exports.Set(name, Napi::Function::New<Environment::method>(env, name, environment))
  EXPORT("open", Open);
  EXPORT("isWritable", IsWritable);
  EXPORT("tryLock", TryLock);
  EXPORT("waitHere", WaitHere);
  EXPORT("ownLockBars", OwnLockBars);
  EXPORT("contend", Contend);
  EXPORT("startWait", StartWait);
  EXPORT("cancelWait", CancelWait);
  EXPORT("unlock", Unlock);
  EXPORT("close", Close);
  EXPORT("read", Read);
  EXPORT("write", Write);
  EXPORT("removeStale", RemoveStale);
  EXPORT("wallClock", WallClock);
  EXPORT("pause", Pause);
  EXPORT("onWaitEnded", OnWaitEnded);
  EXPORT("keepAlive", KeepAlive);
#undef EXPORT
  return exports;
}

}  // namespace
}  // namespace nfl

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) {
  return nfl::Init(env, exports);
}
NODE_API_MODULE(native_file_lock, InitModule)
