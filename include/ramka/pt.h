/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Page-table nodes: zeroed base frames of ramka_type_page_table. An entry owns a reference to what it points
 * to. The last put of a node puts every child, node or mapped frame, that the embedder's decoder finds in it,
 * without recursion. It does so after a grace period, so that lockless walkers stay safe; without cfg.rcu it
 * does so at once.
 */
#ifndef RAMKA_PT_H
#define RAMKA_PT_H

#include <ramka/atomic.h>
#include <ramka/frame.h>

RAMKA_BEGIN_DECLS

struct ramka_pt_config {
	unsigned levels;  /**< 1..255; nodes have levels 1..levels */
	unsigned entries; /**< 64-bit entries per node, up to 512 */
	/**
	 * Decodes an entry of a node of `level`. @return whether it owns a reference; then *ret_pa is the
	 * address given by into_raw and *ret_is_node says whether that is a node.
	 */
	bool (*child)(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node);
};

/** Metadata of a node. */
struct ramka_pt_meta {
	const struct ramka_pt_config *config;
	uint16_t nr_children; /**< the embedder's, under its lock; the decoder decides what is released */
	uint8_t level;        /**< immutable */
	bool stray;           /**< the embedder's, under its lock: unlinked, a walker must retry */
	/** 0 free, 1 taken; the embedder's, or through ramka_pt_trylock/unlock */
	struct ramka_atomic_u32 lock;
};

/**
 * A zeroed node with its metadata in place, one reference. NULL: no memory, bad level or config, no direct
 * map.
 */
RAMKA_API struct ramka_frame *ramka_pt_alloc(struct ramka_cpu *cpu, const struct ramka_pt_config *cfg,
					     unsigned level);
/** 0 if not a node. */
RAMKA_API unsigned ramka_pt_level(const struct ramka *r, const struct ramka_frame *f);
/** NULL if not a node. */
RAMKA_API struct ramka_pt_meta *ramka_pt_node(const struct ramka *r, const struct ramka_frame *f);
/** The former name of ramka_pt_node, the same as that of its struct. */
#define ramka_pt_meta(r, f) ramka_pt_node(r, f)
/** The lock of a node: one try, acquire; release. */
RAMKA_API bool ramka_pt_trylock(struct ramka_pt_meta *m);
RAMKA_API void ramka_pt_unlock(struct ramka_pt_meta *m);

RAMKA_END_DECLS

#endif
