/* SPDX-License-Identifier: MIT */
/*
 * Page-table nodes: frames of a built-in type whose on_drop puts every child that the embedder's decoder
 * finds. There is no recursion: with cfg.rcu a child's last put defers the child, and without it the child
 * waits in the handle's pending chain (drop.h). May use alloc.h, contracts.h.
 */
#include "alloc.h"
#include "contracts.h"

/*
 * Is the frame a node, with RAMKA_CHECK_LEVELS one of the level below `m` and of its configuration? Else
 * reports; it is leaked.
 */
static bool is_child(const struct ramka *r, const struct ramka_frame *f, const struct ramka_pt_meta *m)
{
	const struct ramka_pt_meta *child = ramka_pt_node(r, f);

	if (child && (!(r->flags & RAMKA_CHECK_LEVELS) ||
		      (child->level + 1 == m->level && child->config == m->config)))
		return true;
	instance_bug_of(r, "ramka_frame_put",
			!child ? "entry says node, frame is none: leaked" :
			child->config == m->config ?
				 "entry says node, but its level is not the next one: leaked" :
				 "entry says node, but it is one of another configuration: leaked",
			"pte", f, slot_ref(f));
	return false;
}

/* Gives up the reference that each entry holds. */
static void drop_node(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	const struct ramka_pt_meta *m = meta;
	const uint64_t *entries = content;

	(void)paddr;
	for (unsigned i = 0; i < m->config->entries; i++) {
		ramka_paddr_t pa;
		bool is_node = false;
		struct ramka_frame *child;

		if (!m->config->child(entries[i], m->level, &pa, &is_node))
			continue;
		child = ramka_frame_from_raw(cpu->r, pa);
		if (!child)
			continue;
		if (is_node && !is_child(cpu->r, child, m))
			continue;
		ramka_frame_put(cpu, child);
	}
}

const struct ramka_type ramka_type_page_table = {
	.name = "page table",
	.meta_size = sizeof(struct ramka_pt_meta),
	.meta_align = RAMKA_ALIGNOF(struct ramka_pt_meta),
	.id = 6,
	.on_drop = drop_node,
};

struct ramka_frame *ramka_pt_alloc(struct ramka_cpu *cpu, const struct ramka_pt_config *cfg, unsigned level)
{
	struct ramka_pt_meta meta = { .config = cfg, .level = (uint8_t)level };
	const struct type_entry *e = type_entry(cpu->r, &ramka_type_page_table);

	if (!cfg || !cfg->child || cfg->entries > RAMKA_PAGE_SIZE / sizeof(uint64_t) || level < 1 ||
	    level > cfg->levels || level > UINT8_MAX || !e)
		return NULL;
	return frame_make(cpu, e, &meta, (struct ramka_request){ 0 }, REF_SHARED(1), "ramka_pt_alloc");
}

/* The metadata of a node, for the public function `operation`; NULL if the frame is none. */
static struct ramka_pt_meta *node_meta(const struct ramka *r, const struct ramka_frame *f,
				       const char *operation)
{
	struct ramka_pt_meta *m = frame_meta_as(r, f, &ramka_type_page_table, operation);

	if (!m || contract_meta_pt_requires(r, f))
		return m;
	instance_bug(r, operation, "requires contract_meta_pt_requires", f, slot_ref(f));
	return NULL;
}

struct ramka_pt_meta *ramka_pt_node(const struct ramka *r, const struct ramka_frame *f)
{
	return node_meta(r, f, "ramka_pt_node");
}

unsigned ramka_pt_level(const struct ramka *r, const struct ramka_frame *f)
{
	const struct ramka_pt_meta *m = node_meta(r, f, "ramka_pt_level");

	return m ? m->level : 0;
}

bool ramka_pt_trylock(struct ramka_pt_meta *m)
{
	uint32_t none = 0;

	return ramka_cas(&m->lock, &none, 1, acquire, pt.lock);
}

void ramka_pt_unlock(struct ramka_pt_meta *m)
{
	ramka_store(&m->lock, 0, release, pt.lock);
}
