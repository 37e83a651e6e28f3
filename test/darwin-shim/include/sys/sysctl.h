#ifndef NATIVE_FILE_LOCK_DARWIN_SHIM_SYSCTL_H_
#define NATIVE_FILE_LOCK_DARWIN_SHIM_SYSCTL_H_

#include <stddef.h>
#include <sys/time.h>

#define CTL_KERN 1
#define KERN_PROC 14
#define KERN_PROC_PID 1
#define SRUN 2
#define SZOMB 5

struct extern_proc {
  struct timeval p_starttime;
  char p_stat;
};

struct kinfo_proc {
  struct extern_proc kp_proc;
};

int sysctl(int* name, unsigned length, void* value, size_t* size, void* new_value, size_t new_size);
int sysctlbyname(const char* name, void* value, size_t* size, void* new_value, size_t new_size);

#endif  // NATIVE_FILE_LOCK_DARWIN_SHIM_SYSCTL_H_
