/* SPDX-License-Identifier: MIT */
/* How much a CPU keeps back. See lean.h. */
#include "lean.h"
#include "mail.h"
#include "order.h"
#include "row.h"

#define KEEP_PART 8u /* of the CPU's part of what is free */
#define SAME_PART 8u /* of the estimate: a change that calls for a look */

/* what the stacks of a lean CPU hold, by order */
static const struct ramka_atomic_u32 no_places[TOP_ORDER + 1] = { { 0 } };

uint64_t lean_held(const struct ramka_cpu *cpu)
{
	return cpu_in_rows(cpu) + order_held(cpu) + mail_count(cpu);
}

void lean_give(struct ramka_cpu *cpu)
{
	cpu_settle(cpu);
	flush_rows(cpu);
	order_flush_all(cpu);
	mail_flush(cpu);
}

void lean_look_again(struct ramka_cpu *cpu)
{
	const struct ramka *r = cpu->r;
	uint64_t below = ramka_load(&r->lean_part, relaxed, stat), n = zone_estimate_free(cpu->zone);
	uint64_t part = account_part(cpu, n, below * KEEP_PART), keep = part / KEEP_PART;

	cpu->looked_low = n - n / SAME_PART;
	cpu->looked_span = n / cpu->sharers < below || part < below ? 0 : n / SAME_PART * 2;
	if (r->flags & RAMKA_CACHE_ALL)
		return;
	cpu->keep = keep < 1 ? 1 : keep < UINT32_MAX ? (uint32_t)keep : UINT32_MAX;
	if (part < below) {
		if (!cpu_is_lean(cpu) && lean_held(cpu)) {
			count_move(cpu, true);
			lean_give(cpu);
			count_move(cpu, true);
		}
		cpu->most = cpu->keep;
		cpu->rows_max = 0;
		cpu->order_max = no_places;
	} else {
		cpu->most = CACHE_SIZE;
		cpu->rows_max = ramka_load(&r->rows_max, relaxed, stat);
		cpu->order_max = r->order_max;
	}
}
