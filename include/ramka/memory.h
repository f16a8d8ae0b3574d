/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Memory that goes, memory that breaks, and free memory that a hypervisor wants to know of. Memory that
 * comes: ramka_add_memory (init.h).
 *
 *     usable --isolate--> isolated --(its frames are freed or moved)--> quiet --remove--> a hole
 *       ^                    |                                            |                 |
 *       +----unisolate-------+-------------------unisolate----------------+                 |
 *       +-------------------------------------add-------------------------------------------+
 *
 * A range is whole 2 MiB blocks of the physical address space. It may end, or begin, inside a block where
 * the rest of that block is no memory of the allocator. It may hold holes, and memory of several nodes.
 *
 * One call at a time isolates, ends isolation, removes or adds; another one is told RAMKA_E_BUSY and has
 * done nothing. None of them waits, and none delays calls that allocate and free.
 */
#ifndef RAMKA_MEMORY_H
#define RAMKA_MEMORY_H

#include <ramka/error.h>
#include <ramka/types.h>

RAMKA_BEGIN_DECLS

/** How far an isolated range has drained. Base frames. */
struct ramka_isolation {
	uint64_t free;     /**< in the zone: they stay there, and are handed out by address only */
	uint64_t cached;   /**< free, and still in some CPU's cache or on the way from it */
	uint64_t in_use;   /**< owned, deferred or being torn down; tails too (ramka_walk_range) */
	uint64_t reserved; /**< boot-time reserved, broken, or UNUSED */
	/** Every CPU was stopped since the range was isolated: no CPU hands out a frame of it any more. */
	bool settled;
};

/**
 * From now on nothing is handed out of [base, base + size) but by address (ramka_frame_claim,
 * ramka_frame_from_unused, ramka_segment_from_unused). Frames that are freed in it stay there, whichever
 * CPU frees them. All CPUs are drained, so that what they hold of the range comes back. A CPU
 * that is inside a call just then is left alone, and may still hand out what its cache holds:
 * ramka_isolate_progress drains again and says when that is over. Frames in use are the embedder's to move:
 * ramka_walk_range. What is free in the range counts as gone for the reserve and the watermarks, so
 * cfg.low_memory may be called, and cfg.enough_memory by ramka_unisolate.
 *
 * All or nothing. @return 0; RAMKA_E_INVAL: NULL, empty, wrapping; RAMKA_E_NOT_ALIGNED: not pages, or it
 * ends inside a block that has more memory; RAMKA_E_OUT_OF_BOUND: outside the span, or no memory in it;
 * RAMKA_E_IN_USE: a part of it is isolated already; RAMKA_E_BUSY. `cpu`: the caller's. Thread context;
 * lock-free; linear in blocks and CPUs.
 */
RAMKA_API int ramka_isolate(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size);

/**
 * Drains again, and counts what is in an isolated range. The range has gone quiet when `settled` is set and
 * `cached` and `in_use` are 0.
 * @return 0, and *ret; errors as ramka_isolate; RAMKA_E_UNUSED: not all of it is isolated. Thread context;
 * lock-free; linear in frames. Without barrier_all_cpus no CPU but the caller's can be stopped: `settled`
 * stays false, and each CPU has to call ramka_cpu_offline once.
 */
RAMKA_API int ramka_isolate_progress(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size,
				     struct ramka_isolation *ret);

/**
 * Ends isolation, at any step: what is free in the range is handed out again.
 * All or nothing. @return 0; errors as ramka_isolate; RAMKA_E_UNUSED: not all of it is isolated. Thread
 * context; lock-free; linear in blocks.
 */
RAMKA_API int ramka_unisolate(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size);

/**
 * Removes isolated memory whose frames are all free: from now on it is a hole. An address there is
 * RAMKA_E_OUT_OF_BOUND, statistics and a walk do not have it, and sizes that follow the memory follow.
 * ramka_add_memory makes it memory again, all of it at once or in parts of any size; that is the undo.
 *
 * Reserved and detached frames of the range are not the allocator's and stay what they are. So do
 * broken ones: they stay counted as bad and reserved, a walk shows them, and when the range is added again
 * they are left out.
 *
 * The contents belong to the embedder at once. The metadata belongs to it too, as that of any hole
 * (ramka_metadata_of), but not at once: a call that began before this one returned may still read it, and
 * finds there that nothing is in use. **The embedder keeps the metadata backed until all calls on the
 * instance are over that began before this one returned**, on every CPU and in handlers: one grace period,
 * where every thread calls the allocator inside read sections or is quiescent between calls; a rendezvous of
 * all CPUs outside of calls will do as well. An embedder that never takes the backing away need not
 * wait. Before the range
 * is added again the metadata is backed, with anything, or with zeroes if RAMKA_METADATA_ZEROED is set; it is
 * zeroes where it stayed.
 *
 * All or nothing. @return 0; RAMKA_E_INVAL, RAMKA_E_NOT_ALIGNED, RAMKA_E_OUT_OF_BOUND (removed
 * already, too), RAMKA_E_BUSY: as ramka_isolate; RAMKA_E_UNUSED: not all of it is isolated; RAMKA_E_IN_USE:
 * frames are in use; RAMKA_E_BUSY also: a free frame is cached by a CPU that cannot be stopped, or just
 * moves. Thread context; lock-free; linear in blocks and CPUs, and in the metadata that RAMKA_METADATA_ZEROED
 * makes it clear.
 */
RAMKA_API int ramka_remove_memory(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size);
/**
 * The same, and says why it refuses: the first frame in use, and its type (error.h). `ret_why` may be NULL.
 */
RAMKA_API int ramka_remove_memory_why(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size,
				      struct ramka_why *ret_why);

/** Bytes of the metadata memory. */
struct ramka_metadata_part { void *base; size_t size; };
#define RAMKA_METADATA_PARTS 5

/**
 * The metadata of the frames in [base, base + size), and of no other: slots, owner metadata, what flags and
 * the contract build add, and the bits of the 2 MiB blocks that lie wholly in the range. The range lies in
 * one hole, or will; a walk (ramka_walk_range) shows the holes of removed memory.
 *
 * Before ramka_add_memory, back what is asked for with the range rounded outward to 2 MiB, and round each
 * part outward to pages. After ramka_remove_memory, ask for each hole as it is, and round each part inward.
 * @return how many parts there are, at most RAMKA_METADATA_PARTS; what lies outside the span has none. Any
 * context, wait-free.
 */
RAMKA_API unsigned ramka_metadata_of(const struct ramka *r, ramka_paddr_t base, uint64_t size,
				     struct ramka_metadata_part ret_parts[RAMKA_METADATA_PARTS]);

/** Not an error: accepted, and done when the frame's last reference goes. */
#define RAMKA_LATER 2

/**
 * The base frame at `pa` is broken: never hands it out again. A free one leaves at once, wherever it is
 * cached, and is a reserved frame of ramka_type_unusable from then on. One in use, or a tail of one, leaves
 * when its last reference goes, after on_drop and grace period; what is not broken of a larger frame is
 * freed. It is counted (ramka_stats.bad, part of reserved), a walk and the map show it.
 *
 * @return 0: it has left, or had before; RAMKA_LATER; RAMKA_E_NOT_ALIGNED; RAMKA_E_OUT_OF_BOUND: a hole;
 * RAMKA_E_INVAL: the handle of another CPU, after a panic; RAMKA_E_UNSUPPORTED: reserved at boot, and so
 * the embedder's own; RAMKA_E_BUSY: it is just being built,
 * torn down or reported, or a CPU that cannot be stopped may just free it: call again. Thread or interrupt
 * context; lock-free. Stops every CPU for a moment. Without barrier_all_cpus a frame that its owner frees at
 * this very moment may be handed out once more: call again after a while.
 */
RAMKA_API int ramka_frame_set_bad(struct ramka_cpu *cpu, ramka_paddr_t pa);

/**
 * [base, base + size) is free: whole 2 MiB blocks, at most 64 MiB. True: its content may be gone from now on.
 * False: it is not reported, and the call ends. The function must return. It may call the allocator.
 */
typedef bool (*ramka_report_fn)(void *ctx, ramka_paddr_t base, uint64_t size);

/**
 * Free page reporting: tells `fn` of the 2 MiB blocks that are wholly free and were not reported since they
 * were taken last, so that a hypervisor can discard them. `max` bounds the blocks of one call. Each range is
 * out of free memory while `fn` looks at it, so what is just discarded is not handed out; a request may be
 * told "no memory" meanwhile. Then it is free again, and handed out as any other memory; not later either.
 * What a claim takes is unreported when it comes back. Not reported: isolated memory, whole blocks in the
 * caches of CPUs (ramka_drain). No range takes more than what cfg.min_watermark leaves.
 *
 * @return 0, and in *ret_nr how many blocks were reported: fewer than `max` if there were no more, `fn`
 * answered false or cfg.min_watermark left none. RAMKA_E_INVAL: NULL; RAMKA_E_UNSUPPORTED: the instance has
 * RAMKA_POISON, which looks at what is free. `cpu`: the caller's. Any context in which `fn` may run, any
 * number of calls at once; lock-free but for `fn`; linear in blocks.
 */
RAMKA_API int ramka_report_free(struct ramka_cpu *cpu, uint64_t max, ramka_report_fn fn, void *ctx,
				uint64_t *ret_nr);

RAMKA_END_DECLS

#endif
