/* SPDX-License-Identifier: MIT */
#ifndef SYS_MMAN_H
#define SYS_MMAN_H

#include <stddef.h>

#define PROT_NONE 0
#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_PRIVATE 1
#define MAP_ANONYMOUS 2
#define MAP_NORESERVE 4
#define MAP_SHARED 8
#define MAP_FIXED 16
#define MAP_POPULATE 32
#define MADV_NOHUGEPAGE 1
#define MAP_FAILED ((void *)-1)

void *mmap(void *addr, size_t n, int prot, int flags, int fd, long offset);
int munmap(void *addr, size_t n);
int mprotect(void *addr, size_t n, int prot);   /* PROT_NONE only */
int madvise(void *addr, size_t n, int advice);
int memfd_create(const char *name, unsigned flags);     /* there is none: skips the test */

#endif
