// The boundary to JavaScript: with call.h the only file that speaks Node-API. It converts numbers,
// keeps the open files of one environment, and holds no lock logic. It trusts its caller
// (lib/native.ts, the only one) for the number and types of arguments.
//
// A file is known to JavaScript by its handle. Every result is one number: an Outcome, a handle,
// or, when negative, a failure that names the system call and its errno.

#include <errno.h>

#include "call.h"
#include "open_files.h"
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

constexpr double kLongest = 1e12;  // milliseconds: "for ever", and no overflow

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
    for (OpenFiles::Entry& entry : environment->files_) {
      if (entry.wait != nullptr) environment->waits_->Abandon(entry.wait);
    }
    environment->waits_->Release();
    environment->alarm_.Destroy();
    delete environment;  // and with it the open files
  }

  // lastRelease: when the last unlock, close or confirm was (monotonic, milliseconds).
  napi_value ShareLastRelease(napi_env env) { return last_release_.Share(env); }

  // open(path, permissions, mechanism, mustWrite): a handle.
  static napi_value Open(const Call& call) {
    // With room to see that it is longer: it is cut before a character of up to 4 bytes.
    char path[kLongestPath + 4];
    size_t length = 0;
    call.Text(0, path, sizeof path, &length);
    OsError error = {Syscall::kOpen, ENAMETOOLONG};
    LockFile file;
    LockFile::OpenResult result = LockFile::OpenResult::kFailed;
    if (length < kLongestPath) {
      result = file.Open(path, static_cast<unsigned>(call.Int(1)),
                         static_cast<Mechanism>(call.Int(2)), call.Bool(3), &error);
    }
    switch (result) {
      case LockFile::OpenResult::kOpened:
        return call.Number(This(call)->files_.Add(static_cast<LockFile&&>(file)));
      case LockFile::OpenResult::kNotAFile:
        return call.Number(kNotAFile);
      default:
        return call.Number(FailureNumber(error));
    }
  }

  // isWritable(handle)
  static napi_value IsWritable(const Call& call) {
    return call.Boolean(This(call)->files_[call.Int(0)].file.writable());
  }

  // tryLock(handle, exclusive): kBusy or kGranted, and the handle stays; else it is gone.
  static napi_value TryLock(const Call& call) {
    Environment* environment = This(call);
    const int handle = call.Int(0);
    OsError error;
    const Outcome outcome = environment->files_[handle].file.TryLock(ModeOf(call, 1), &error);
    return environment->Settle(call, handle, outcome, error);
  }

  // tryEach(attempts, results): two Int32Arrays; for 2 * handle + exclusive in the one its outcome
  // or failure in the other. How many are not kBusy. All handles stay: before JavaScript looks at a
  // result, it may have closed that file.
  static napi_value TryEach(const Call& call) {
    const View<int32_t> attempts = call.Array<int32_t>(0);
    const View<int32_t> results = call.Array<int32_t>(1);
    int ended = 0;
    for (size_t i = 0; i < attempts.length; ++i) {
      const Mode mode = attempts.data[i] % 2 == 0 ? Mode::kShared : Mode::kExclusive;
      OsError error;
      const Outcome outcome = This(call)->files_[attempts.data[i] / 2].file.TryLock(mode, &error);
      results.data[i] = ResultNumber(outcome, error);
      if (outcome != Outcome::kBusy) ++ended;
    }
    return call.Number(ended);
  }

  // confirm(handle): kGranted, or kReplaced, and then the lock is free and the handle gone. To
  // JavaScript a lock that is handed on was released.
  static napi_value Confirm(const Call& call) {
    Environment* environment = This(call);
    const int handle = call.Int(0);
    const bool named = environment->files_[handle].file.PathNamesThis();
    environment->NoteRelease();
    return environment->Settle(call, handle, named ? Outcome::kGranted : Outcome::kReplaced, {});
  }

  // waitHere(handle, exclusive, milliseconds): the same as tryLock, blocking the thread.
  static napi_value WaitHere(const Call& call) {
    Environment* environment = This(call);
    const int handle = call.Int(0);
    OsError error;
    const Outcome outcome =
        WaitOnThisThread(&environment->files_[handle].file, ModeOf(call, 1),
                         DeadlineAfter(call.Double(2)), &environment->alarm_, &error);
    return environment->Settle(call, handle, outcome, error);
  }

  // ownLockBars(handle, exclusive): whether a lock of this environment keeps that file from
  // locking.
  static napi_value OwnLockBars(const Call& call) {
    Environment* environment = This(call);
    const LockFile& file = environment->files_[call.Int(0)].file;
    bool bars = false;
    for (const OpenFiles::Entry& entry : environment->files_) {
      bars = bars || entry.file.StandsInTheWayOf(file, ModeOf(call, 1));
    }
    return call.Boolean(bars);
  }

  // contend(wait, handle): whether a wait is for the same file as the one that is open by `handle`.
  static napi_value Contend(const Call& call) {
    Environment* environment = This(call);
    // The thread that waits does not change what is read here.
    const LockFile& awaited = environment->files_[call.Int(0)].wait->file;
    const LockFile& file = environment->files_[call.Int(1)].file;
    return call.Boolean(awaited.ContendsWith(file));
  }

  // startWait(handle, exclusive, milliseconds): whether a thread now waits. If so the handle names
  // the wait until onWaitEnded is told of it, or until cancelWait.
  static napi_value StartWait(const Call& call) {
    Environment* environment = This(call);
    const int handle = call.Int(0);
    OpenFiles::Entry* entry = &environment->files_[handle];
    Wait* wait = new Wait;
    wait->mode = ModeOf(call, 1);
    wait->deadline = DeadlineAfter(call.Double(2));
    wait->handle = handle;
    wait->file = static_cast<LockFile&&>(entry->file);
    const bool started = environment->waits_->Start(wait);
    if (started) {
      entry->wait = wait;
    } else {
      entry->file = static_cast<LockFile&&>(wait->file);
      delete wait;
    }
    return call.Boolean(started);
  }

  // cancelWait(handle): kCancelled, or how the wait had ended before; the handle stays if that is
  // kGranted, else it is gone.
  static napi_value CancelWait(const Call& call) {
    Environment* environment = This(call);
    const int handle = call.Int(0);
    OpenFiles::Entry* entry = &environment->files_[handle];
    OsError error;
    if (entry->wait == nullptr) return call.Number(static_cast<int>(Outcome::kCancelled));
    const Outcome outcome = environment->waits_->Cancel(entry->wait, &entry->file, &error);
    entry->wait = nullptr;
    return environment->Settle(call, handle, outcome, error);
  }

  // unlock(handle): 0 or a failure. The file stays open.
  static napi_value Unlock(const Call& call) {
    Environment* environment = This(call);
    const OsError error = environment->files_[call.Int(0)].file.Unlock();
    environment->NoteRelease();
    return call.Number(error ? FailureNumber(error) : 0);
  }

  // close(handle): unlocks if need be, and closes, whatever unlocking says: 0 or its failure.
  static napi_value Close(const Call& call) {
    napi_value result = Unlock(call);
    This(call)->files_.Remove(call.Int(0));
    return result;
  }

  // read(handle, buffer): how many of the file's first bytes are in the buffer now, or a failure.
  static napi_value Read(const Call& call) {
    const View<char> buffer = call.Array<char>(1);
    OsError error;
    const int count = This(call)->files_[call.Int(0)].file.Read(buffer.data, buffer.length, &error);
    return call.Number(count < 0 ? FailureNumber(error) : count);
  }

  // write(handle, buffer, length): how many bytes were written at the file's start, or a failure.
  static napi_value Write(const Call& call) {
    const View<char> buffer = call.Array<char>(1);
    OsError error;
    const int count = This(call)->files_[call.Int(0)].file.Write(
        buffer.data, static_cast<size_t>(call.Int(2)), &error);
    return call.Number(count < 0 ? FailureNumber(error) : count);
  }

  // removeStale(directory, subdirectory, name, maxAge, dryRun, buffer): -1 when the file was left
  // alone, how many of its first bytes are in the buffer when it was removed, or a failure. The
  // directory is an open descriptor of the caller's.
  static napi_value RemoveStale(const Call& call) {
    constexpr int kLeft = -1;
    char subdirectory[256];
    char name[256];
    call.Text(1, subdirectory, sizeof subdirectory, nullptr);
    call.Text(2, name, sizeof name, nullptr);
    const double max_age = call.Double(3);
    const View<char> buffer = call.Array<char>(5);
    const StaleLock result =
        RemoveStaleLock(call.Int(0), subdirectory, name,
                        max_age < kLongest ? static_cast<int64_t>(max_age * 1e6) : kForever,
                        call.Bool(4), buffer.data, buffer.length);
    switch (result.fate) {
      case StaleLock::Fate::kLeft:
        return call.Number(kLeft);
      case StaleLock::Fate::kRemoved:
        return call.Number(result.content_length);
      default:
        return call.Number(FailureNumber(result.error));
    }
  }

  // wallClock(): microseconds since 1970, whole. Date.now() knows milliseconds only.
  static napi_value WallClock(const Call& call) {
    return call.Number(static_cast<double>(WallClockNanoseconds() / 1000));
  }

  // leaveFree(since, milliseconds): sleeps for a moment unless so long has passed since a time of
  // lastRelease's clock.
  static napi_value LeaveFree(const Call& call) {
    const double free_for = static_cast<double>(MonotonicNanoseconds()) * 1e-6 - call.Double(0);
    if (free_for < call.Double(1)) SleepNanoseconds(1);
    return nullptr;
  }

  // onWaitEnded(callback): callback(handle, outcome) is called for each wait that ends by itself.
  // To be called once, before the first wait.
  static napi_value OnWaitEnded(const Call& call) {
    Environment* environment = This(call);
    napi_value name;
    napi_create_string_utf8(call.env(), "native-file-lock", NAPI_AUTO_LENGTH, &name);
    napi_create_threadsafe_function(call.env(), call.argument(0), nullptr, name, 0, 1, nullptr,
                                    nullptr, environment, &Environment::Deliver,
                                    &environment->notifier_);
    napi_unref_threadsafe_function(call.env(), environment->notifier_);
    // Hooks run last in, first out, and the function above has just added its own, after which
    // no thread may call it. So ours is taken out and put in again, to run before it.
    napi_remove_env_cleanup_hook(call.env(), &Environment::End, environment);
    napi_add_env_cleanup_hook(call.env(), &Environment::End, environment);
    return nullptr;
  }

  // keepAlive(boolean): whether the event loop stays alive for waits that are pending.
  static napi_value KeepAlive(const Call& call) {
    Environment* environment = This(call);
    (call.Bool(0) ? napi_ref_threadsafe_function : napi_unref_threadsafe_function)(
        call.env(), environment->notifier_);
    return nullptr;
  }

 private:
  ~Environment() = default;

  static Environment* This(const Call& call) { return static_cast<Environment*>(call.data()); }
  static Mode ModeOf(const Call& call, size_t index) {
    return call.Bool(index) ? Mode::kExclusive : Mode::kShared;
  }

  napi_value Settle(const Call& call, int handle, Outcome outcome, const OsError& error) {
    if (outcome != Outcome::kBusy && outcome != Outcome::kGranted) files_.Remove(handle);
    return call.Number(ResultNumber(outcome, error));
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
      OpenFiles::Entry* entry = &environment->files_[handle];
      entry->wait = nullptr;
      entry->file = static_cast<LockFile&&>(wait->file);
      napi_value arguments[2];
      napi_create_int32(env, handle, &arguments[0]);
      napi_create_int32(env, ResultNumber(wait->outcome, wait->error), &arguments[1]);
      if (wait->outcome != Outcome::kGranted) environment->files_.Remove(handle);
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

  void NoteRelease() { last_release_.Set(static_cast<double>(MonotonicNanoseconds()) * 1e-6); }

  Waits* waits_;
  SharedNumber last_release_;
  napi_threadsafe_function notifier_ = nullptr;
  Alarm alarm_;  // of this environment's thread, for WaitHere
  OpenFiles files_;
};

using Method = napi_value (*)(const Call&);

template <Method method>
napi_value Enter(napi_env env, napi_callback_info info) {
  return method(Call(env, info));
}

bool RunsOnBun(napi_env env) {
  napi_value value;
  napi_get_global(env, &value);
  for (const char* name : {"process", "versions"}) {
    napi_valuetype type = napi_undefined;
    napi_get_named_property(env, value, name, &value);
    napi_typeof(env, value, &type);
    if (type != napi_object) return false;
  }
  bool found = false;
  napi_has_named_property(env, value, "bun", &found);
  return found;
}

napi_value Init(napi_env env, napi_value exports) {
  Environment* environment = new Environment;
  napi_add_env_cleanup_hook(env, &Environment::End, environment);
  if (RunsOnBun(env)) UseThreadsOfTheSystem();
  static constexpr struct {
    const char* name;
    napi_callback callback;
  } functions[] = {
      {"open", Enter<Environment::Open>},
      {"isWritable", Enter<Environment::IsWritable>},
      {"tryLock", Enter<Environment::TryLock>},
      {"tryEach", Enter<Environment::TryEach>},
      {"confirm", Enter<Environment::Confirm>},
      {"waitHere", Enter<Environment::WaitHere>},
      {"ownLockBars", Enter<Environment::OwnLockBars>},
      {"contend", Enter<Environment::Contend>},
      {"startWait", Enter<Environment::StartWait>},
      {"cancelWait", Enter<Environment::CancelWait>},
      {"unlock", Enter<Environment::Unlock>},
      {"close", Enter<Environment::Close>},
      {"read", Enter<Environment::Read>},
      {"write", Enter<Environment::Write>},
      {"removeStale", Enter<Environment::RemoveStale>},
      {"wallClock", Enter<Environment::WallClock>},
      {"leaveFree", Enter<Environment::LeaveFree>},
      {"onWaitEnded", Enter<Environment::OnWaitEnded>},
      {"keepAlive", Enter<Environment::KeepAlive>},
  };
  for (const auto& [name, callback] : functions) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, environment, &function);
    napi_set_named_property(env, exports, name, function);
  }
  napi_set_named_property(env, exports, "lastRelease", environment->ShareLastRelease(env));
  return exports;
}

}  // namespace
}  // namespace nfl

NAPI_MODULE_INIT() { return nfl::Init(env, exports); }
