// One call from JavaScript: its arguments and its result. The only file that includes node_api.h,
// and that as it is, in C: a wrapper in C++ calls more of its functions, and just after a system
// call, with the processor's predictions gone, each of them is felt (5 % of a warm cycle).

#ifndef NATIVE_FILE_LOCK_CALL_H_
#define NATIVE_FILE_LOCK_CALL_H_

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

namespace nfl {

// The elements of a typed array.
template <typename T>
struct View {
  T* data;
  size_t length;
};

// One call from JavaScript. Node-API as it is in C: each of its functions is called once where a
// wrapper calls several, and just after a system call, with the processor's predictions gone, that
// is what a call costs.
class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMostArguments;
    napi_get_cb_info(env, info, &count, arguments_, nullptr, &data_);
  }

  napi_env env() const { return env_; }
  void* data() const { return data_; }
  napi_value argument(size_t index) const { return arguments_[index]; }

  int Int(size_t index) const {
    int32_t value = 0;
    napi_get_value_int32(env_, arguments_[index], &value);
    return value;
  }
  double Double(size_t index) const {
    double value = 0;
    napi_get_value_double(env_, arguments_[index], &value);
    return value;
  }
  bool Bool(size_t index) const {
    bool value = false;
    napi_get_value_bool(env_, arguments_[index], &value);
    return value;
  }
  // Cut to `size`, with a NUL at the end.
  void Text(size_t index, char* text, size_t size, size_t* length) const {
    napi_get_value_string_utf8(env_, arguments_[index], text, size, length);
  }
  template <typename T>
  View<T> Array(size_t index) const {
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env_, arguments_[index], nullptr, &length, &data, nullptr, nullptr);
    return {static_cast<T*>(data), length};
  }

  napi_value Number(int number) const {
    napi_value value = nullptr;
    napi_create_int32(env_, number, &value);
    return value;
  }
  napi_value Number(double number) const {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    return value;
  }
  napi_value Boolean(bool boolean) const {
    napi_value value = nullptr;
    napi_get_boolean(env_, boolean, &value);
    return value;
  }

 private:
  static constexpr size_t kMostArguments = 6;

  napi_env env_;
  void* data_ = nullptr;
  napi_value arguments_[kMostArguments];
};

// A number that JavaScript reads in a Float64Array of one element: a memory access, where a call
// just after a system call costs a twentieth of a warm cycle.
class SharedNumber {
 public:
  napi_value Share(napi_env env) {
    void* memory = nullptr;
    napi_value buffer;
    napi_value array;
    napi_ref reference;
    napi_create_arraybuffer(env, sizeof(double), &memory, &buffer);
    napi_create_typedarray(env, napi_float64_array, 1, buffer, 0, &array);
    napi_create_reference(env, array, 1, &reference);  // kept as long as the environment lives
    value_ = static_cast<double*>(memory);
    return array;
  }
  void Set(double value) { *value_ = value; }

 private:
  double* value_ = nullptr;
};

}  // namespace nfl

#endif  // NATIVE_FILE_LOCK_CALL_H_
