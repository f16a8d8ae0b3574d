/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The hosted layer, library libramka-host: a mapped memory, threads that stand in for CPUs, liburcu or
 * ConcurrencyKit for grace periods, membarrier(2). The only part that needs a libc.
 */
#ifndef RAMKA_HOST_H
#define RAMKA_HOST_H

#include <ramka/ramka.h>

RAMKA_BEGIN_DECLS

struct ramka_host;

struct ramka_host_options {
	uint64_t memory;    /**< bytes, rounded up to 2 MiB; 0 = 1 GiB */
	unsigned nr_cpus;   /**< 0 = the CPUs online */
	uint32_t meta_size; /**< as ramka_config.meta_size */
	uint32_t flags;     /**< as ramka_config.flags */
	/** "memb" (liburcu, default), "qsbr", "mb" (liburcu), "ck" (ck_epoch), "ramka" (ramka_qsbr) */
	const char *rcu;
	void (*panic)(void *ctx, const struct ramka_bug *bug); /**< NULL: print the bug and abort */
	void *ctx;
};

/**
 * Maps the memory (huge pages where they are to be had; pages are touched on use only) and builds an instance.
 * opt NULL or {0} is legal. @return 0; RAMKA_E_INVAL: NULL ret_h, unknown rcu; RAMKA_E_NOMEM: could not map;
 * RAMKA_E_UNSUPPORTED: that rcu was not built in.
 */
RAMKA_API int ramka_host_create(const struct ramka_host_options *opt, struct ramka_host **ret_h);
RAMKA_API struct ramka *ramka_host_ramka(struct ramka_host *h);
/** This thread's CPU: taken on first use, given back at thread exit; ramka_cpu_none when all are taken. Never NULL. */
RAMKA_API struct ramka_cpu *ramka_host_cpu(struct ramka_host *h);
/** A read section of the chosen grace-period source; nests; any thread, registered on first use. */
RAMKA_API void ramka_host_rcu_read_lock(struct ramka_host *h);
RAMKA_API void ramka_host_rcu_read_unlock(struct ramka_host *h);
/**
 * Reclaims, ends the instance and unmaps. Frames still in use are printed to stderr, then all goes anyway. NULL is
 * legal. No other thread may use h.
 */
RAMKA_API void ramka_host_destroy(struct ramka_host *h);

RAMKA_END_DECLS

#endif
