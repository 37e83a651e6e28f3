// The functions of an Environment that tell processes apart.

#include "../system/process.h"
#include "arguments.h"
#include "environment.h"

namespace nfl {
namespace {

constexpr int64_t kEnded = -1;
constexpr int64_t kUnknown = -2;

Napi::Value Text(const Info& info, const char* text, size_t length) {
  napi_value value = nullptr;
  napi_create_string_utf8(info.Env(), text, length, &value);
  return {info.Env(), value};
}

}  // namespace

Napi::Value Environment::LookAtProcess(const Info& info) {
  uint64_t start = 0;
  const ProcessState state = nfl::LookAtProcess(Int(info, 0), &start);
  const int64_t number = state == ProcessState::kRunning ? static_cast<int64_t>(start)
                         : state == ProcessState::kEnded ? kEnded
                                                         : kUnknown;
  napi_value value = nullptr;
  napi_create_bigint_int64(info.Env(), number, &value);
  return {info.Env(), value};
}

Napi::Value Environment::CommandOfProcess(const Info& info) {
  char command[2048];
  return Text(info, command, nfl::CommandOfProcess(Int(info, 0), command, sizeof command));
}

Napi::Value Environment::BootIdentity(const Info& info) {
  char identity[256];
  return Text(info, identity, nfl::BootIdentity(identity, sizeof identity));
}

}  // namespace nfl
