/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Set-up and tear-down of an instance, its CPUs, late memory, draining.
 */
#ifndef RAMKA_INIT_H
#define RAMKA_INIT_H

#include <ramka/config.h>
#include <ramka/error.h>

RAMKA_BEGIN_DECLS

/**
 * Bytes of metadata that an instance of this configuration needs.
 *
 * 16 bytes plus meta_size per base frame of the span (lowest to highest managed address, holes included: their
 * part is never touched, so it may be left unbacked where that can be), one bit per frame, about 8 KiB a CPU.
 * @return 0, RAMKA_E_INVAL. Any context; time linear in regions times nodes.
 */
RAMKA_API int ramka_metadata_size(const struct ramka_config *cfg, size_t *ret_bytes);

/**
 * Builds an instance in `metadata`, which stays the caller's, who keeps it alive until ramka_fini.
 *
 * `metadata` is 64-byte aligned and writable; it need not be zeroed (say RAMKA_METADATA_ZEROED when it is).
 * Where it lies in the direct map, the usable frames that hold its `bytes` become reserved frames of
 * ramka_type_metadata. Frame 0 is never handed out unless asked for by address.
 * @return 0; RAMKA_E_NOMEM buffer too small; RAMKA_E_NOT_ALIGNED; RAMKA_E_INVAL: NULL, no CPUs, no regions, a
 * wrapping region, usable regions of different nodes that overlap, meta_size > 240, a span above 16 TiB a node.
 * One thread, before any other use.
 */
RAMKA_API int ramka_init(const struct ramka_config *cfg, void *metadata, size_t bytes, struct ramka **ret_r);

/**
 * Makes a region usable late: RECLAIMABLE memory, or a hole inside the initial span (hot-add).
 *
 * All or nothing. @return 0; RAMKA_E_NOT_ALIGNED; RAMKA_E_INVAL: kind other than USABLE, empty, wrapping;
 * RAMKA_E_OUT_OF_BOUND: outside the span (or of what its node's zone covers); RAMKA_E_IN_USE: not wholly
 * reclaimable or hole, or held by someone; RAMKA_E_BUSY: another add is going on; RAMKA_E_NOMEM: too many separate late
 * regions. Thread context, any CPU; one at a time makes progress.
 */
RAMKA_API int ramka_add_memory(struct ramka *r, const struct ramka_region *region);

/**
 * Ends an instance: drains, then gives `metadata` back to the caller.
 *
 * @return 0; RAMKA_E_BUSY while frames are in use or deferred (reserved ones apart): nothing happened then.
 * RAMKA_E_INVAL: NULL. No other call may be in progress.
 */
RAMKA_API int ramka_fini(struct ramka *r);

/** The CPU `id`, or NULL if id >= nr_cpus. An offline CPU that is used again is online again. Any context. */
RAMKA_API struct ramka_cpu *ramka_cpu_at(struct ramka *r, unsigned id);

/** The instance of a CPU. Any context. */
RAMKA_API struct ramka *ramka_of(const struct ramka_cpu *cpu);

/** The cache-less handle: any context, any number of threads at once, straight to depot and zones. */
RAMKA_API struct ramka_cpu *ramka_cpu_none(struct ramka *r);

/**
 * Gives back all that this CPU holds: its cache, its shard of the depot, its deferred frames (to whoever
 * reclaims next). Called by the thread that uses the CPU, or when nobody does. The CPU may come again.
 */
RAMKA_API void ramka_cpu_offline(struct ramka_cpu *cpu);

/**
 * Empties every cache and the depot into the zones, as far as possible: CPUs inside a call are left alone, and
 * all other CPUs too where barrier_all_cpus is missing or declines. Thread or interrupt context; lock-free.
 */
RAMKA_API void ramka_drain(struct ramka *r);

RAMKA_END_DECLS

#endif
