/* SPDX-License-Identifier: MIT */
/* The depot's two stacks. States and races: depot.h. */
#include "depot.h"

#define TAG_ONE (DEPOT_INDEX + UINT64_C(1))

static struct magazine *pop(struct depot *d, struct ramka_atomic_u64 *head)
{
	uint64_t old = ramka_load(head, acquire, depot.push);

	while (old & DEPOT_INDEX) {
		struct magazine *m = &d->magazines[(old & DEPOT_INDEX) - 1];
		uint64_t next = ramka_load(&m->next, relaxed, depot.next);

		if (ramka_cas(head, &old, ((old & ~(uint64_t)DEPOT_INDEX) + TAG_ONE) | next, acq_rel,
			      depot.push))
			return m;
	}
	return NULL;
}

static void push(struct depot *d, struct ramka_atomic_u64 *head, struct magazine *m)
{
	uint64_t index = (uint64_t)(m - d->magazines) + 1;
	uint64_t old = ramka_load(head, relaxed, depot.look);

	do
		ramka_store(&m->next, (uint32_t)(old & DEPOT_INDEX), relaxed, depot.next);
	while (!ramka_cas(head, &old, ((old & ~(uint64_t)DEPOT_INDEX) + TAG_ONE) | index, release,
			  depot.push));
}

static struct shard *home(struct depot *d, const struct magazine *m)
{
	return &d->shards[m->home];
}

void depot_grow(struct depot *d, uint32_t nr)
{
	for (; d->given < nr && d->given < d->per_shard; d->given++)
		for (uint32_t shard = 0; shard < d->nr_shards; shard++) {
			struct magazine *m = &d->magazines[(size_t)shard * d->per_shard + d->given];

			m->home = shard;
			push(d, &d->shards[shard].empty, m);
		}
}

struct magazine *depot_get_empty(struct depot *d, unsigned shard)
{
	return pop(d, &d->shards[shard].empty);
}

struct magazine *depot_pop(struct depot *d, unsigned shard)
{
	struct magazine *m = pop(d, &d->shards[shard].full);

	if (m)
		ramka_sub(&d->shards[shard].cached, m->count, relaxed, stat);
	return m;
}

void depot_push(struct depot *d, struct magazine *m)
{
	ramka_add(&home(d, m)->cached, m->count, relaxed, stat);
	push(d, &home(d, m)->full, m);
}

void depot_put_empty(struct depot *d, struct magazine *m)
{
	push(d, &home(d, m)->empty, m);
}
