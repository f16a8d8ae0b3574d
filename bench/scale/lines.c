/* SPDX-License-Identifier: MIT */
/*
 * Which lines moved: a table by line and by the place in the code that wanted it. And where the locked operations are.
 * Printed as rows separated by tabs, which scale.py sums up and gives names:
 *
 *	locked  operations  pc
 *	line  moves  ps-waited  false-sharing  address  pc  pc-of-the-last-taker  from  to  structure+offset
 */
#define _GNU_SOURCE
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "names.h"

#define PLACES (1u << 22)

struct place {
	const struct line *line;
	uint64_t address, moves, wait, false_sharing;
	uint32_t pc, taken_at;
	uint16_t from, to; /* of the last one */
};

bool lines_watched;

static struct place *places; /* a hash table */
static uint64_t nr_places, lost;

#define LOCKED_PLACES 1024u

static struct {
	uint32_t pc;
	uint64_t count;
} locked[LOCKED_PLACES]; /* as they come: there are a few dozen */

void machine_watch_lines(bool on)
{
	lines_watched = on;
	if (on && !places)
		places = mmap(NULL, PLACES * sizeof(*places), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (places == MAP_FAILED) {
		perror("scale: mmap");
		exit(1);
	}
}

void lines_reset(void)
{
	if (nr_places)
		madvise(places, PLACES * sizeof(*places), MADV_DONTNEED);
	nr_places = lost = 0;
	for (unsigned i = 0; i < LOCKED_PLACES; i++)
		locked[i].pc = 0;
}

void lines_note(const struct move *m)
{
	uint64_t i = ((uintptr_t)m->line / LINE * 31 + m->pc) * UINT64_C(0x9e3779b97f4a7c15) >> 42;
	struct place *p;

	for (;; i = (i + 1) % PLACES) {
		p = &places[i];
		if (!p->line && nr_places > PLACES / 4 * 3) {
			lost++;
			return;
		}
		if (!p->line || (p->line == m->line && p->pc == m->pc))
			break;
	}
	nr_places += !p->line;
	p->line = m->line;
	p->pc = m->pc;
	p->taken_at = m->taken_at;
	p->address = m->address;
	p->from = m->from;
	p->to = m->to;
	p->moves++;
	p->wait += m->wait;
	p->false_sharing += m->false_sharing;
}

void lines_note_locked(uint32_t pc)
{
	unsigned i = 0;

	while (i < LOCKED_PLACES - 1 && locked[i].pc && locked[i].pc != pc)
		i++;
	if (!locked[i].pc)
		locked[i].count = 0;
	locked[i].pc = pc;
	locked[i].count++;
}

void machine_print_lines(void)
{
	char name[96];

	for (unsigned i = 0; i < LOCKED_PLACES && locked[i].pc; i++)
		printf("locked\t%llu\t%#x\n", (unsigned long long)locked[i].count, locked[i].pc);
	for (uint64_t i = 0; nr_places && i < PLACES; i++) {
		const struct place *p = &places[i];

		if (!p->line)
			continue;
		name_of(p->address, name, sizeof(name));
		printf("line\t%llu\t%llu\t%llu\t%#llx\t%#x\t%#x\t%u\t%u\t%s\n", (unsigned long long)p->moves,
		       (unsigned long long)p->wait, (unsigned long long)p->false_sharing,
		       (unsigned long long)p->address, p->pc, p->taken_at, p->from, p->to, name);
	}
	if (lost)
		fprintf(stderr, "scale: no room for %llu moves\n", (unsigned long long)lost);
}
