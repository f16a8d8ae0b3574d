/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Types of frames: what a frame's metadata is, and what happens when its last reference goes.
 */
#ifndef RAMKA_TYPE_H
#define RAMKA_TYPE_H

#include <ramka/error.h>
#include <ramka/types.h>

RAMKA_BEGIN_DECLS

#define RAMKA_TYPE_ID_USER 16u /**< first id for the embedder; below: built in */
#define RAMKA_MAX_TYPES 256u

/* ramka_type.flags */
/** raw memory: content may be read and written through ramka_frame_read/write */
#define RAMKA_TYPE_UNTYPED 1u
#define RAMKA_TYPE_RCU 2u       /**< the last ramka_frame_put defers as ramka_frame_put_rcu does */
#define RAMKA_TYPE_NO_LOOKUP 4u /**< from_in_use answers IN_USE: never reachable by address */

/** Descriptor of a type. It has static storage, and is registered once for each instance before its use. */
struct ramka_type {
	const char *name;
	uint16_t meta_size, meta_align; /**< of the owner metadata, bytes; 0, 1 for none */
	uint16_t id;                    /**< RAMKA_TYPE_ID_USER..RAMKA_MAX_TYPES-1 */
	uint32_t flags;
	/**
	 * Runs once for each frame, when its last reference is gone and its grace period, if any, is over. It
	 * runs on the handle that put last, outside any CPU section. It may allocate, get and put; it must
	 * not block where the caller must not block. If it puts a last reference, that frame's on_drop runs
	 * after it returns, so there is no recursion. Each handle has one on_drop in progress. The cache-less
	 * handle has one for all threads: while a thread is inside it, that thread also drops what other
	 * threads put there. `content`: the frame's bytes through the direct map, or NULL without one.
	 */
	void (*on_drop)(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content);
	/**
	 * Called by the contract build at alloc and drop: nonzero if these bytes are a valid value. May be
	 * NULL.
	 */
	int (*check)(const void *meta);
};

#if defined(__cplusplus) && __cplusplus < 202002L
/* C++17 has no designators: each becomes an assignment, in a function that the compiler evaluates. */
# define RAMKA_SET_1_(t, a) t a;
# define RAMKA_SET_2_(t, a, ...) t a; RAMKA_SET_1_(t, __VA_ARGS__)
# define RAMKA_SET_3_(t, a, ...) t a; RAMKA_SET_2_(t, __VA_ARGS__)
# define RAMKA_SET_4_(t, a, ...) t a; RAMKA_SET_3_(t, __VA_ARGS__)
# define RAMKA_SET_5_(t, a, ...) t a; RAMKA_SET_4_(t, __VA_ARGS__)
# define RAMKA_SET_6_(t, a, ...) t a; RAMKA_SET_5_(t, __VA_ARGS__)
# define RAMKA_SET_PICK_(a, b, c, d, e, f, set, ...) set
# define RAMKA_SET_(t, ...) \
	RAMKA_SET_PICK_(__VA_ARGS__, RAMKA_SET_6_, RAMKA_SET_5_, RAMKA_SET_4_, RAMKA_SET_3_, RAMKA_SET_2_, \
			RAMKA_SET_1_, 0)(t, __VA_ARGS__)
# define RAMKA_TYPE_(ident, size, align, ...) \
	const struct ramka_type ident = [] { \
		struct ramka_type ramka_t_ {}; \
		ramka_t_.name = #ident; \
		ramka_t_.meta_size = (uint16_t)(size); \
		ramka_t_.meta_align = (uint16_t)(align); \
		RAMKA_SET_(ramka_t_, __VA_ARGS__) \
		return ramka_t_; \
	}()
#else
# define RAMKA_TYPE_(ident, size, align, ...) \
	const struct ramka_type ident = { .name = #ident, .meta_size = (uint16_t)(size), \
					  .meta_align = (uint16_t)(align), __VA_ARGS__ }
#endif

/**
 * Defines `const struct ramka_type ident` whose metadata is a C_type. Put `static` before it if you like. The
 * rest are designated initialisers in the order of the fields: .id, .flags, .on_drop, .check. C++17 without
 * extensions accepts them too.
 */
#define RAMKA_DEFINE_TYPE(ident, C_type, ...) \
	RAMKA_TYPE_(ident, sizeof(C_type), RAMKA_ALIGNOF(C_type), __VA_ARGS__); \
	RAMKA_STATIC_ASSERT(sizeof(C_type) <= RAMKA_META_SIZE_MAX && \
				    RAMKA_ALIGNOF(C_type) <= RAMKA_META_ALIGN_MAX, \
			    "metadata of " #ident " is too large or too strictly aligned")

/** The same for a type without metadata. */
#define RAMKA_DEFINE_TYPE_PLAIN(ident, ...) RAMKA_TYPE_(ident, 0, 1, __VA_ARGS__)

/**
 * Registers a type. @return 0; RAMKA_E_INVAL: NULL, id taken or out of range, metadata larger than
 * cfg.meta_size (ramka_type_register_why has a code of its own for that), alignment not a power of two, above
 * 16 or broken by the stride of cfg.meta_size, RAMKA_TYPE_RCU without cfg.rcu, unknown flags. Registering the
 * same descriptor twice is "taken".
 * Before the type is used; several threads may register at once. The descriptor must outlive the instance.
 */
RAMKA_API int ramka_type_register(struct ramka *r, const struct ramka_type *type);
/**
 * The same, and says why it refuses (error.h): RAMKA_E_META_SIZE: metadata larger than cfg.meta_size.
 * `ret_why` may be NULL.
 */
RAMKA_API int ramka_type_register_why(struct ramka *r, const struct ramka_type *type,
				      struct ramka_why *ret_why);

/*
 * Built in, registered by ramka_init. The embedder allocates with the first only; the last is for
 * ramka_pt_alloc, the others are given to frames by the memory map. Any other use of these: panic.
 */
extern RAMKA_API const struct ramka_type ramka_type_untyped;   /**< raw memory, no metadata */
extern RAMKA_API const struct ramka_type ramka_type_reserved;
extern RAMKA_API const struct ramka_type ramka_type_unusable;
extern RAMKA_API const struct ramka_type ramka_type_kernel;
extern RAMKA_API const struct ramka_type ramka_type_metadata;
/** see pt.h; there if meta_size holds struct ramka_pt_meta */
extern RAMKA_API const struct ramka_type ramka_type_page_table;

RAMKA_END_DECLS

#endif
