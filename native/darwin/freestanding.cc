// What the compiler expects of a C++ runtime library, so that the addon needs none: libc++ is all
// in its headers but for these. Running out of memory ends the process, as it does everywhere else
// in a JavaScript runtime.

#include <stdlib.h>

#include <new>

namespace {

void* Allocate(size_t size) {
  void* memory = malloc(size == 0 ? 1 : size);
  if (memory == nullptr) abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }
