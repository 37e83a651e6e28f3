// The addon: its functions, by name, and one Environment for each environment of the runtime.

#include <napi.h>

#include "call.h"
#include "environment.h"

namespace nfl {
namespace {

using HotMethod = napi_value (Environment::*)(const Call&);
using Method = Napi::Value (Environment::*)(const Napi::CallbackInfo&);

template <HotMethod method>
napi_value CallHot(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  return (static_cast<Environment*>(call.data())->*method)(call);
}

template <Method method>
Napi::Value CallMethod(const Napi::CallbackInfo& info) {
  return (static_cast<Environment*>(info.Data())->*method)(info);
}

template <HotMethod method>
void ExportHot(Napi::Object exports, const char* name, Environment* environment) {
  napi_value function;
  napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, CallHot<method>, environment,
                       &function);
  exports.Set(name, function);
}

template <Method method>
void Export(Napi::Object exports, const char* name, Environment* environment) {
  exports.Set(name, Napi::Function::New<CallMethod<method>>(exports.Env(), name, environment));
}

// The environments of the process. When a program removes the addon from require.cache and loads it
// again, the runtime calls Init a second time; both loads must share the environment, since a grant
// that one has not delivered yet would otherwise conflict with the other. An environment of the
// runtime is known by its thread and its global object: a thread can have several (Electron).
struct Loaded {
  Environment* environment;
  uint64_t thread;
  Napi::ObjectReference global;
  Napi::ObjectReference exports;
  Loaded* next;
};

Mutex loaded_mutex;
Loaded* loaded = nullptr;

// References of another thread must not be touched, so only those of this one are looked at.
Loaded* FindLoaded(Napi::Env env) {
  MutexHeld held(&loaded_mutex);
  for (Loaded* each = loaded; each != nullptr; each = each->next) {
    if (each->thread == CurrentThread() && each->global.Value().StrictEquals(env.Global())) {
      return each;
    }
  }
  return nullptr;
}

void Forget(Environment* environment) {
  MutexHeld held(&loaded_mutex);
  for (Loaded** at = &loaded; *at != nullptr; at = &(*at)->next) {
    if ((*at)->environment != environment) continue;
    Loaded* found = *at;
    *at = found->next;
    delete found;
    return;
  }
}

// Bun and Deno have a libuv, or a part of one, that only looks real.
bool HasFacadeOfLibuv(Napi::Env env) {
  const Napi::Value process = env.Global().Get("process");
  if (!process.IsObject()) return false;
  const Napi::Value versions = process.As<Napi::Object>().Get("versions");
  if (!versions.IsObject()) return false;
  return versions.As<Napi::Object>().Has("bun") || versions.As<Napi::Object>().Has("deno");
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (const Loaded* before = FindLoaded(env)) return before->exports.Value();
  if (HasFacadeOfLibuv(env)) LibuvIsFacade();
  Environment* environment = new Environment(env);
  ExportHot<&Environment::Open>(exports, "open", environment);
  ExportHot<&Environment::TryLock>(exports, "tryLock", environment);
  ExportHot<&Environment::Confirm>(exports, "confirm", environment);
  ExportHot<&Environment::Unlock>(exports, "unlock", environment);
  ExportHot<&Environment::Close>(exports, "close", environment);
  Export<&Environment::IsWritable>(exports, "isWritable", environment);
  Export<&Environment::Verify>(exports, "verify", environment);
  Export<&Environment::Descriptor>(exports, "descriptor", environment);
  Export<&Environment::Read>(exports, "read", environment);
  Export<&Environment::Write>(exports, "write", environment);
  Export<&Environment::RemoveStale>(exports, "removeStale", environment);
  Export<&Environment::StartWait>(exports, "startWait", environment);
  Export<&Environment::CancelWait>(exports, "cancelWait", environment);
  Export<&Environment::PollWaits>(exports, "pollWaits", environment);
  Export<&Environment::OnWaitEnded>(exports, "onWaitEnded", environment);
  Export<&Environment::KeepAlive>(exports, "keepAlive", environment);
  Export<&Environment::WaitHere>(exports, "waitHere", environment);
  Export<&Environment::ConflictsWithOwn>(exports, "conflictsWithOwn", environment);
  Export<&Environment::IsSameLock>(exports, "isSameLock", environment);
  Export<&Environment::WallClock>(exports, "wallClock", environment);
  Export<&Environment::YieldLock>(exports, "yieldLock", environment);
  exports.Set("lastRelease", environment->last_release());
  MutexHeld held(&loaded_mutex);
  loaded = new Loaded{environment, CurrentThread(), Napi::Persistent(env.Global()),
                      Napi::Persistent(exports), loaded};
  environment->OnEnd(Forget);
  return exports;
}

}  // namespace
}  // namespace nfl

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return nfl::Init(env, exports); }
NODE_API_MODULE(native_file_lock, Init)
