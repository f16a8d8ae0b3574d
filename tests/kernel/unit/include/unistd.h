/* SPDX-License-Identifier: MIT */
/* See sys/mman.h about memfd_create; the rest is what goes with it. */
#ifndef UNISTD_H
#define UNISTD_H

typedef long off_t;

int ftruncate(int fd, off_t n);
int close(int fd);

#endif
