/* SPDX-License-Identifier: MIT */
/*
 * The registry of types: one entry for each id. A registration claims the id by one CAS, then writes the
 * entry; the pointer to the descriptor comes last (release). So an entry is complete before a frame can have
 * its id, and a walk or a lookup may read it meanwhile. Pairs: type.id, type.entry. May use instance.h and
 * why.h.
 */
#include "instance.h"
#include "why.h"

const struct ramka_type ramka_type_untyped = {
	.name = "untyped", .meta_size = 0, .meta_align = 1, .id = 1, .flags = RAMKA_TYPE_UNTYPED
};
const struct ramka_type ramka_type_reserved = {
	.name = "reserved", .meta_size = 0, .meta_align = 1, .id = 2
};
const struct ramka_type ramka_type_unusable = {
	.name = "unusable", .meta_size = 0, .meta_align = 1, .id = 3
};
const struct ramka_type ramka_type_kernel = { .name = "kernel", .meta_size = 0, .meta_align = 1, .id = 4 };
const struct ramka_type ramka_type_metadata = {
	.name = "metadata", .meta_size = 0, .meta_align = 1, .id = 5
};

static int check_meta(const struct ramka *r, const struct ramka_type *type, struct ramka_why *why)
{
	if (type->meta_size > r->meta_size)
		return refuse(why, RAMKA_E_META_SIZE,
			      "the metadata of the type is larger than that of a frame, cfg.meta_size",
			      "type->meta_size", RAMKA_NO_INDEX, type->meta_size, r->meta_size);
	if (!is_power_of_two(type->meta_align) || type->meta_align > RAMKA_META_ALIGN_MAX)
		return refuse(why, RAMKA_E_INVAL, "the alignment is not a power of two up to 16",
			      "type->meta_align", RAMKA_NO_INDEX, type->meta_align, RAMKA_META_ALIGN_MAX);
	if (type->meta_size && r->meta_size % type->meta_align)
		return refuse(why, RAMKA_E_INVAL, "cfg.meta_size is not a multiple of the alignment",
			      "type->meta_align", RAMKA_NO_INDEX, type->meta_align,
			      r->meta_size & (0 - r->meta_size));
	return 0;
}

/* Do all frames of the type wait for a grace period, whether it asks for that or not? */
static bool quarantined(const struct ramka *r, const struct ramka_type *type)
{
	return r->flags & RAMKA_QUARANTINE && (type->id >= RAMKA_TYPE_ID_USER || type == &ramka_type_untyped);
}

static int enter_type(struct ramka *r, const struct ramka_type *type, unsigned extra, struct ramka_why *why)
{
	struct type_entry *e = &r->types[type->id];
	uint32_t none = 0;

	if (!ramka_cas(&r->type_taken[type->id], &none, 1, relaxed, type.id))
		return refuse(why, RAMKA_E_INVAL, "the id is taken, perhaps by this very type", "type->id",
			      RAMKA_NO_INDEX, type->id, 0);
	e->info = info_make(type->id, 0,
			    extra | (type->on_drop ? INFO_HOOK : 0u) |
				    (type->flags & RAMKA_TYPE_RCU || quarantined(r, type) ? INFO_RCU : 0u) |
				    (r->watched ? INFO_WATCHED : 0u));
	e->same = type;
	ramka_store(&e->type, (uintptr_t)type, release, type.entry);
	return 0;
}

static int check_type(const struct ramka *r, const struct ramka_type *type, struct ramka_why *why)
{
	const uint32_t known = RAMKA_TYPE_UNTYPED | RAMKA_TYPE_RCU | RAMKA_TYPE_NO_LOOKUP;

	if (!r || !type)
		return refuse_plain(why, RAMKA_E_INVAL, r ? "no type" : "no instance", r ? "type" : "r");
	if (type->id < RAMKA_TYPE_ID_USER || type->id >= RAMKA_MAX_TYPES)
		return refuse(why, RAMKA_E_INVAL, "the id is not one for embedders, 16 to 255", "type->id",
			      RAMKA_NO_INDEX, type->id,
			      type->id < RAMKA_TYPE_ID_USER ? RAMKA_TYPE_ID_USER : RAMKA_MAX_TYPES - 1);
	if (type->flags & ~known)
		return refuse(why, RAMKA_E_INVAL, "an unknown flag", "type->flags", RAMKA_NO_INDEX,
			      type->flags & ~known, known);
	if (type->flags & RAMKA_TYPE_RCU && !r->has_rcu)
		return refuse(why, RAMKA_E_INVAL, "RAMKA_TYPE_RCU needs grace periods, cfg.rcu",
			      "type->flags", RAMKA_NO_INDEX, type->flags, 0);
	return check_meta(r, type, why);
}

int ramka_type_register_why(struct ramka *r, const struct ramka_type *type, struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;

	*why = (struct ramka_why){ 0 };
	return check_type(r, type, why) ? why->error : enter_type(r, type, 0, why);
}

int ramka_type_register(struct ramka *r, const struct ramka_type *type)
{
	int rc = ramka_type_register_why(r, type, NULL);

	return rc == RAMKA_E_META_SIZE ? RAMKA_E_INVAL : rc; /* as ever: callers know one code */
}

void types_init(struct ramka *r)
{
	struct ramka_why why;

	enter_type(r, &ramka_type_untyped, 0, &why);
	enter_type(r, &ramka_type_reserved, INFO_RESERVED, &why);
	enter_type(r, &ramka_type_unusable, INFO_RESERVED, &why);
	enter_type(r, &ramka_type_kernel, INFO_RESERVED, &why);
	enter_type(r, &ramka_type_metadata, INFO_RESERVED, &why);
	if (!check_meta(r, &ramka_type_page_table, &why))
		enter_type(r, &ramka_type_page_table, r->has_rcu ? INFO_RCU : 0, &why);
}
