// A call from JavaScript, for the few functions of a hot loop: Node-API's C functions beneath
// node-addon-api. Its CallbackInfo, Number and Boolean call more of them, and just after a system
// call, when branch predictors are cold, each one costs (5 % of a warm cycle).

#ifndef NATIVE_FILE_LOCK_BOUNDARY_CALL_H_
#define NATIVE_FILE_LOCK_BOUNDARY_CALL_H_

#include <napi.h>

namespace nfl {

class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMostArguments;
    napi_get_cb_info(env, info, &count, arguments_, nullptr, &data_);
  }

  void* data() const { return data_; }

  int Int(size_t index) const {
    int32_t value = 0;
    napi_get_value_int32(env_, arguments_[index], &value);
    return value;
  }
  bool Bool(size_t index) const {
    bool value = false;
    napi_get_value_bool(env_, arguments_[index], &value);
    return value;
  }
  // Cut to `size`, with a NUL at the end. Gives the length.
  size_t Text(size_t index, char* text, size_t size) const {
    size_t length = 0;
    napi_get_value_string_utf8(env_, arguments_[index], text, size, &length);
    return length;
  }
  napi_value Number(int number) const {
    napi_value value = nullptr;
    napi_create_int32(env_, number, &value);
    return value;
  }

 private:
  static constexpr size_t kMostArguments = 5;

  napi_env env_;
  void* data_ = nullptr;
  napi_value arguments_[kMostArguments];
};

// A number that JavaScript reads in a Float64Array of one element: a memory access, where a call
// just after a system call costs a twentieth of a warm cycle.
class SharedNumber {
 public:
  explicit SharedNumber(Napi::Env env)
      : array_(Napi::Persistent(Napi::Float64Array::New(env, 1))), value_(array_.Value().Data()) {
    array_.SuppressDestruct();  // kept as long as the runtime's environment lives
  }
  Napi::Value array() const { return array_.Value(); }
  void Set(double value) { *value_ = value; }

 private:
  Napi::Reference<Napi::Float64Array> array_;
  double* value_;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_BOUNDARY_CALL_H_
