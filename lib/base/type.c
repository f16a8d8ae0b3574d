/* SPDX-License-Identifier: MIT */
/* The registry of types. An id is claimed by one CAS; the entry follows and is read only once the type is used. */
#include "instance.h"

const struct ramka_type ramka_type_untyped = { .name = "untyped", .meta_size = 0, .meta_align = 1, .id = 1, .flags = RAMKA_TYPE_UNTYPED };
const struct ramka_type ramka_type_reserved = { .name = "reserved", .meta_size = 0, .meta_align = 1, .id = 2 };
const struct ramka_type ramka_type_unusable = { .name = "unusable", .meta_size = 0, .meta_align = 1, .id = 3 };
const struct ramka_type ramka_type_kernel = { .name = "kernel", .meta_size = 0, .meta_align = 1, .id = 4 };
const struct ramka_type ramka_type_metadata = { .name = "metadata", .meta_size = 0, .meta_align = 1, .id = 5 };

static bool type_fits(const struct ramka *r, const struct ramka_type *type)
{
	if (!is_power_of_two(type->meta_align) || type->meta_align > RAMKA_META_ALIGN_MAX || type->meta_size > r->meta_size)
		return false;
	return !type->meta_size || r->meta_size % type->meta_align == 0;
}

static int enter_type(struct ramka *r, const struct ramka_type *type, unsigned extra)
{
	struct type_entry *e = &r->types[type->id];
	uint32_t none = 0;

	if (!ramka_cas(&r->type_taken[type->id], &none, 1, relaxed, type.id))
		return RAMKA_E_INVAL;
	e->info = info_make(type->id, 0, extra | (type->on_drop ? INFO_HOOK : 0u) |
						(type->flags & RAMKA_TYPE_RCU ? INFO_RCU : 0u));
	e->type = type;
	return 0;
}

int ramka_type_register(struct ramka *r, const struct ramka_type *type)
{
	const uint32_t known = RAMKA_TYPE_UNTYPED | RAMKA_TYPE_RCU | RAMKA_TYPE_NO_LOOKUP;

	if (!r || !type || type->id < RAMKA_TYPE_ID_USER || type->id >= RAMKA_MAX_TYPES || type->flags & ~known)
		return RAMKA_E_INVAL;
	if (!type_fits(r, type) || (type->flags & RAMKA_TYPE_RCU && !r->has_rcu))
		return RAMKA_E_INVAL;
	return enter_type(r, type, 0);
}

void types_init(struct ramka *r)
{
	enter_type(r, &ramka_type_untyped, 0);
	enter_type(r, &ramka_type_reserved, INFO_RESERVED);
	enter_type(r, &ramka_type_unusable, INFO_RESERVED);
	enter_type(r, &ramka_type_kernel, INFO_RESERVED);
	enter_type(r, &ramka_type_metadata, INFO_RESERVED);
	if (type_fits(r, &ramka_type_page_table))
		enter_type(r, &ramka_type_page_table, r->has_rcu ? INFO_RCU : 0);
}
