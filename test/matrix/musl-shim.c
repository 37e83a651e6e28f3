// The functions that Debian's libstdc++ needs from glibc and musl lacks: enough to run Bun for musl in a
// test. Replaces glibc's loader, which libstdc++ names as a dependency.
typedef __SIZE_TYPE__ size_t;
typedef __UINT32_TYPE__ uint32_t;

long getrandom(void *, size_t, unsigned);
size_t strftime(char *, size_t, const char *, const void *);
unsigned long getauxval(unsigned long);

char __libc_single_threaded = 0;
struct { unsigned vendor, type, subtype, features[1]; } __cpu_model;

int __cpu_indicator_init(void) { return 0; }
int __cxa_thread_atexit_impl(void (*function)(void *), void *object, void *library) { return 0; }
int _dl_find_object(void *address, void *result) { return -1; }
unsigned long __getauxval(unsigned long type) { return getauxval(type); }
size_t __strftime_l(char *text, size_t size, const char *format, const void *time, void *locale) {
  return strftime(text, size, format, time);
}
uint32_t arc4random(void) {
  uint32_t number = 0;
  getrandom(&number, sizeof number, 0);
  return number;
}
