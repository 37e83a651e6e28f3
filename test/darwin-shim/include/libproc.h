#ifndef NATIVE_FILE_LOCK_DARWIN_SHIM_LIBPROC_H_
#define NATIVE_FILE_LOCK_DARWIN_SHIM_LIBPROC_H_

#include <stdint.h>

#define PROC_PIDPATHINFO_MAXSIZE 4096

int proc_pidpath(int pid, void* buffer, uint32_t size);

#endif  // NATIVE_FILE_LOCK_DARWIN_SHIM_LIBPROC_H_
