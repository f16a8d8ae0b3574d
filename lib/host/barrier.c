/* SPDX-License-Identifier: MIT */
/*
 * ramka_config.barrier_all_cpus by membarrier(2): on return every thread of the process that was running
 * has executed a full memory barrier, and one that was not running passes one before it runs again. Where
 * the kernel has no expedited barrier the answer is false, and the caches of other CPUs are left alone.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

/* Once per process, in a child of fork again, and idempotent; if it fails, so does each barrier. */
void host_barrier_init(void)
{
	membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

bool host_barrier(void *ctx)
{
	int saved = errno; /* this may be a handler */
	bool done = !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);

	(void)ctx;
	errno = saved;
	return done;
}
