/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Segments: contiguous base frames of one type, each with a count of its own. The struct is plain data and
 * stands for one reference to every frame it covers; copying it copies no reference. size 0 = empty.
 * Contexts as in frame.h; time linear in the frames covered.
 */
#ifndef RAMKA_SEGMENT_H
#define RAMKA_SEGMENT_H

#include <ramka/frame.h>

RAMKA_BEGIN_DECLS

struct ramka_segment { ramka_paddr_t base; uint64_t size; /* bytes */ };

/**
 * Writes the metadata of one frame of a segment while it is being built (zeroed before). Frames are BUSY
 * meanwhile. `meta`: NULL if the type has none.
 */
typedef void (*ramka_meta_fn)(void *ctx, ramka_paddr_t pa, void *meta);

/**
 * Any number of contiguous frames, aligned to 2^req.order base frames ({0}: a base frame). `init` may be
 * NULL.
 * @return 0; RAMKA_E_INVAL: no frames, a size that overflows 64 bits, order too large, unknown flag, type not
 * registered (after a panic); RAMKA_E_NOMEM; RAMKA_E_UNSUPPORTED: not UNINIT without a direct map.
 */
RAMKA_API int ramka_segment_alloc(struct ramka_cpu *cpu, uint64_t nr_frames, const struct ramka_type *type,
				  ramka_meta_fn init, void *ctx, struct ramka_request req,
				  struct ramka_segment *ret_s);
/**
 * Claims every frame of [base, base + size), all or nothing; errors as ramka_frame_from_unused, empty: INVAL.
 */
RAMKA_API int ramka_segment_from_unused(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size,
					const struct ramka_type *type, ramka_meta_fn init, void *ctx,
					struct ramka_segment *ret_s);
/** Gives up the segment's reference to each frame. */
RAMKA_API void ramka_segment_put(struct ramka_cpu *cpu, struct ramka_segment s);
/** One more reference to each frame (clone). */
RAMKA_API struct ramka_segment ramka_segment_get(struct ramka *r, struct ramka_segment s);
/**
 * Consumes s. @return 0; RAMKA_E_NOT_ALIGNED; RAMKA_E_OUT_OF_BOUND: off 0, size or beyond (s stays whole).
 */
RAMKA_API int ramka_segment_split(struct ramka *r, struct ramka_segment s, uint64_t off,
				  struct ramka_segment *ret_a, struct ramka_segment *ret_b);
/**
 * One more reference to each frame of [from, to), offsets in bytes. @return 0; RAMKA_E_NOT_ALIGNED;
 * RAMKA_E_OUT_OF_BOUND: beyond the end or from > to; RAMKA_E_INVAL: from == to, NULL.
 */
RAMKA_API int ramka_segment_slice(struct ramka *r, struct ramka_segment s, uint64_t from, uint64_t to,
				  struct ramka_segment *ret_s);
/**
 * Hands over the first frame, shortens *s; NULL at the end, or after a panic (not shared), with *s as it was.
 */
RAMKA_API struct ramka_frame *ramka_segment_next(struct ramka *r, struct ramka_segment *s);
/** Consumes f, of order 0; above: panic, empty segment. */
RAMKA_API struct ramka_segment ramka_segment_from_frame(struct ramka *r, struct ramka_frame *f);
/** Is every frame of this type? An empty segment reads nothing: false. */
RAMKA_API bool ramka_segment_is(const struct ramka *r, struct ramka_segment s, const struct ramka_type *type);
/** As ramka_frame_read/write, across frames; every frame touched must be untyped. */
RAMKA_API int ramka_segment_read(const struct ramka *r, struct ramka_segment s, uint64_t off, void *buf,
				 size_t len);
RAMKA_API int ramka_segment_write(const struct ramka *r, struct ramka_segment s, uint64_t off,
				  const void *buf, size_t len);

/*
 * The counterparts of into_raw and from_raw. The struct is plain data, so only the contract build needs these
 * calls. In every build a frame that is not shared: panic.
 */
RAMKA_API void ramka_segment_forget(struct ramka *r, struct ramka_segment s);
RAMKA_API void ramka_segment_restore(struct ramka *r, struct ramka_segment s);

RAMKA_END_DECLS

#endif
