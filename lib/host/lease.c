/* SPDX-License-Identifier: MIT */
/*
 * Numbered places: a CPU of a host, a reader's place in a source of grace periods. A place is one bit, set
 * and cleared by CAS (pair host.lease), so all that a holder did with the place comes before what the next
 * holder does.
 *
 * Contexts: taking and giving are lock-free, in any context.
 */
#include <stdlib.h>

#include "internal.h"

#define BITS 64u

bool host_leases_init(struct host_leases *l, unsigned nr)
{
	l->words = calloc((nr + BITS - 1) / BITS, sizeof(*l->words));
	l->nr = nr;
	return l->words;
}

void host_leases_fini(struct host_leases *l)
{
	free(l->words);
}

bool host_lease_take(struct host_leases *l, unsigned *ret_place)
{
	for (unsigned base = 0; base < l->nr; base += BITS) {
		struct ramka_atomic_u64 *word = &l->words[base / BITS];
		uint64_t taken = ramka_load(word, relaxed, host.lease);

		while (~taken) {
			unsigned bit = (unsigned)__builtin_ctzll(~taken);

			if (base + bit >= l->nr)
				return false;
			if (ramka_cas(word, &taken, taken | (uint64_t)1 << bit, acquire, host.lease)) {
				*ret_place = base + bit;
				return true;
			}
		}
	}
	return false;
}

void host_lease_give(struct host_leases *l, unsigned place)
{
	ramka_and(&l->words[place / BITS], ~((uint64_t)1 << place % BITS), release, host.lease);
}

bool host_lease_is_taken(const struct host_leases *l, unsigned place)
{
	return ramka_load(&l->words[place / BITS], relaxed, host.lease) >> place % BITS & 1;
}

void host_leases_give_all(struct host_leases *l, unsigned nr)
{
	for (unsigned base = 0; base < nr; base += BITS)
		ramka_store(&l->words[base / BITS], 0, release, host.lease);
}

unsigned host_leases_taken(const struct host_leases *l)
{
	unsigned n = 0;

	for (unsigned base = 0; base < l->nr; base += BITS)
		n += (unsigned)__builtin_popcountll(ramka_load(&l->words[base / BITS], relaxed, host.lease));
	return n;
}
