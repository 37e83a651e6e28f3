// What the compiler expects of a C++ runtime library, so that the addon needs none: the same file
// then loads beside glibc and musl, whichever versions. Nothing here throws; running out of memory
// ends the process, as it does everywhere else in a JavaScript runtime.

#include <stdlib.h>
#include <string.h>

#include <new>

namespace {

void* Allocate(size_t size) {
  void* memory = malloc(size == 0 ? 1 : size);
  if (memory == nullptr) abort();
  return memory;
}

}  // namespace

// The compiler calls it by itself; of glibc's there are two versions.
extern "C" void* memcpy(void* to, const void* from, size_t size) { return memmove(to, from, size); }

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }

// What libstdc++ calls instead of throwing, by the names that the linker knows: the headers of
// libc++ have some of these functions too, and differently.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
extern "C" {
[[noreturn]] void _ZSt20__throw_length_errorPKc(const char*) { abort(); }
[[noreturn]] void _ZSt25__throw_bad_function_callv() { abort(); }
[[noreturn]] void _ZSt17__throw_bad_allocv() { abort(); }
[[noreturn]] void _ZSt28__throw_bad_array_new_lengthv() { abort(); }
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
