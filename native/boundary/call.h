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
  explicit SharedNumber(napi_env env) : env_(env) {
    napi_value buffer = nullptr;
    napi_value array = nullptr;
    napi_create_arraybuffer(env, sizeof *value_, reinterpret_cast<void**>(&value_), &buffer);
    napi_create_typedarray(env, napi_float64_array, 1, buffer, 0, &array);
    napi_create_reference(env, array, 1,
                          &array_);  // kept as long as the runtime's environment lives
  }
  napi_value array() const {
    napi_value array = nullptr;
    napi_get_reference_value(env_, array_, &array);
    return array;
  }
  void Set(double value) { *value_ = value; }

 private:
  napi_env env_;
  napi_ref array_ = nullptr;
  double* value_ = nullptr;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_BOUNDARY_CALL_H_
