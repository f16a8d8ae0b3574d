/* SPDX-License-Identifier: MIT */
/* Can a request never be served, and why? Reads the zones, and writes nothing. May use frame/alloc.h. */
#include "../base/why.h"
#include "../frame/alloc.h"

/* Errors that a look at the request shows; the same that frame/alloc.c refuses. */
static int check_request(const struct ramka *r, struct ramka_request req, struct ramka_why *why)
{
	const unsigned known = REQUEST_FLAGS, lifetime = req.flags & REQUEST_LIFETIMES;

	if (req.order > RAMKA_MAX_ORDER)
		return refuse(why, RAMKA_E_INVAL, "the order is too large", "req.order", RAMKA_NO_INDEX,
			      req.order, RAMKA_MAX_ORDER);
	if (req.flags & ~known)
		return refuse(why, RAMKA_E_INVAL, "an unknown flag", "req.flags", RAMKA_NO_INDEX,
			      req.flags & ~known, known);
	if (lifetime & (lifetime - 1))
		return refuse(why, RAMKA_E_INVAL, "two lifetimes at once", "req.flags", RAMKA_NO_INDEX,
			      lifetime, REQUEST_LIFETIMES);
	if (req.reserved)
		return refuse(why, RAMKA_E_INVAL, "a reserved field is not 0", "req.reserved", RAMKA_NO_INDEX,
			      req.reserved, 0);
	if (!(req.flags & RAMKA_ALLOC_UNINIT) && r->flags & RAMKA_NO_DIRECT_MAP)
		return refuse(why, RAMKA_E_UNSUPPORTED,
			      "contents cannot be zeroed without a direct map: RAMKA_ALLOC_UNINIT is missing",
			      "req.flags", RAMKA_NO_INDEX, req.flags, RAMKA_ALLOC_UNINIT);
	return 0;
}

int ramka_request_why(const struct ramka *r, struct ramka_request req, struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	uint64_t end = req.addr_bits && req.addr_bits < 64 ?
			       ((uint64_t)1 << req.addr_bits) >> RAMKA_PAGE_SHIFT :
			       UINT64_MAX;
	bool node = false, low = false, large = false;

	*why = (struct ramka_why){ 0 };
	if (!r)
		return refuse_plain(why, RAMKA_E_INVAL, "no instance", "r");
	if (check_request(r, req, why))
		return why->error;
	for (unsigned i = 0; i < r->nr_zones; i++) {
		const struct zone *z = &r->zones[i];
		uint64_t nr = (uint64_t)1 << req.order, first = align_up(z->origin + z->low, nr);

		if (req.flags & RAMKA_ALLOC_NODE_ONLY && req.node && z->node != req.node - 1u)
			continue;
		node = true;
		low |= first < end && nr <= end - first;
		large |= nr <= ramka_load(&z->usable, relaxed, stat);
	}
	if (!node)
		return refuse(why, RAMKA_E_OUT_OF_BOUND, "no memory is of this node", "req.node",
			      RAMKA_NO_INDEX, req.node - 1u, 0);
	if (!low)
		return refuse(why, RAMKA_E_OUT_OF_BOUND, "all memory lies above this limit", "req.addr_bits",
			      RAMKA_NO_INDEX, req.addr_bits, 0);
	if (!large)
		return refuse(why, RAMKA_E_OUT_OF_BOUND, "no node has so much memory", "req.order",
			      RAMKA_NO_INDEX, req.order, 0);
	return 0;
}
