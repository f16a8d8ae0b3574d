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
 * 16 bytes plus meta_size per base frame of the span, two bits per frame, about 20 KiB a CPU. The span
 * reaches from the lowest to the highest frame that may ever be handed out (usable, detached, reclaimable),
 * holes included. The slots, the owner metadata and the bits of holes are never touched, so they may be left
 * unbacked where that can be. RESERVED, BAD and KERNEL frames, and regions that hold no whole frame, are in
 * the span where they lie between such frames, or no farther below or above them than there is such memory
 * (and 16 MiB more). The others have no slots: an address there is OUT_OF_BOUND.
 * @return 0, RAMKA_E_INVAL. Any context; time linear in regions times (1 + nodes / 16).
 */
RAMKA_API int ramka_metadata_size(const struct ramka_config *cfg, size_t *ret_bytes);
/** The same, and says why it refuses (error.h). `ret_why` may be NULL. */
RAMKA_API int ramka_metadata_size_why(const struct ramka_config *cfg, size_t *ret_bytes,
				      struct ramka_why *ret_why);

/**
 * Builds an instance in `metadata`, which belongs to the caller and must stay alive until ramka_fini.
 *
 * `metadata` is 64-byte aligned and writable; it need not be zeroed (say RAMKA_METADATA_ZEROED when it is).
 * Where it lies in the direct map, the usable frames that hold its `bytes` become reserved frames of
 * ramka_type_metadata. Frame 0 is never handed out unless asked for by address.
 * @return 0; RAMKA_E_NOMEM buffer too small; RAMKA_E_NOT_ALIGNED; RAMKA_E_INVAL: NULL, no CPUs, no regions, a
 * wrapping region, memory in the last page of the address space, usable regions of different nodes that
 * overlap, meta_size > 240, an unknown flag, grace periods without `snapshot` or `elapsed`, a node above
 * 65534, memory of a node that lies farther apart than 16 TiB, RAMKA_METADATA_ZEROED where the first or last
 * metadata of a region is not zero. One thread, before any other use. Time: n log n in the regions;
 * microseconds a GiB of memory; 3.3 MB of words to clear for each TiB of hole, none with
 * RAMKA_METADATA_ZEROED.
 */
RAMKA_API int ramka_init(const struct ramka_config *cfg, void *metadata, size_t bytes, struct ramka **ret_r);
/** The same, and says why it refuses (error.h). `ret_why` may be NULL. */
RAMKA_API int ramka_init_why(const struct ramka_config *cfg, void *metadata, size_t bytes,
			     struct ramka **ret_r, struct ramka_why *ret_why);

/**
 * Makes a region usable late: RECLAIMABLE memory, or a hole inside the initial span (hot-add), memory that
 * was removed (memory.h) included. Broken frames that stayed when it was removed are left out.
 *
 * The region may be a part of the memory there, of any number of pages, and parts may come in any order.
 * Neighbours become one piece. It becomes memory of its node, which must be the one that the map gives it:
 * the node of the reclaimable region, or for a hole the node of the memory below it, if that node has memory
 * above it too. Metadata of the hole (ramka_metadata_of) must be backed before the call, and zeroed with
 * RAMKA_METADATA_ZEROED.
 * Batches, high-water mark and low_memory follow the new size.
 *
 * All or nothing. @return 0; RAMKA_E_NOT_ALIGNED; RAMKA_E_INVAL: kind other than USABLE, empty, wrapping,
 * metadata not zeroed; RAMKA_E_OUT_OF_BOUND: outside the span, or not of the region's node; RAMKA_E_IN_USE:
 * not wholly reclaimable or hole, or some of it is in use; RAMKA_E_BUSY: another add is going on. Thread
 * context, any CPU; one call at a time makes progress, and allocations go on meanwhile. Time: as set-up.
 */
RAMKA_API int ramka_add_memory(struct ramka *r, const struct ramka_region *region);
/** The same, and says why it refuses (error.h). `ret_why` may be NULL. */
RAMKA_API int ramka_add_memory_why(struct ramka *r, const struct ramka_region *region,
				   struct ramka_why *ret_why);

/**
 * Ends an instance: drains, then gives `metadata` back to the caller.
 *
 * @return 0; RAMKA_E_BUSY while frames are in use or deferred (reserved ones apart): nothing happened then.
 * RAMKA_E_INVAL: NULL. No other call may be in progress.
 */
RAMKA_API int ramka_fini(struct ramka *r);
/**
 * The same, and says what is still in use: how many frames, and address and type of the first one. `ret_why`
 * may be NULL.
 */
RAMKA_API int ramka_fini_why(struct ramka *r, struct ramka_why *ret_why);

/** The CPU `id`, or NULL if id >= nr_cpus. An offline CPU that is used again is online again. Any context. */
RAMKA_API struct ramka_cpu *ramka_cpu_at(struct ramka *r, unsigned id);

/** The instance of a CPU. Any context. */
RAMKA_API struct ramka *ramka_of(const struct ramka_cpu *cpu);

/** The cache-less handle: any context, any number of threads at once, straight to depot and zones. */
RAMKA_API struct ramka_cpu *ramka_cpu_none(struct ramka *r);

/**
 * Gives back all that this CPU holds: its cache, its shard of the depot and its deferred frames. The deferred
 * frames go to CPUs that go on, and wait no longer than they would have here. Call it from the thread that
 * uses the CPU, or when no thread does. The CPU may be used again later.
 */
RAMKA_API void ramka_cpu_offline(struct ramka_cpu *cpu);

/**
 * Empties every cache and the depot into the zones, as far as possible: CPUs inside a call are left alone,
 * and all other CPUs too where barrier_all_cpus is missing or declines. Thread or interrupt context;
 * lock-free.
 */
RAMKA_API void ramka_drain(struct ramka *r);

RAMKA_END_DECLS

#endif
