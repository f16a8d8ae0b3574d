/* SPDX-License-Identifier: MIT */
/* The smallest hosted program: frames allocated, shared, looked up and freed. README.md prints it. */
#include <ramka/host.h>
#include <stdio.h>

struct page { unsigned long owner; };
RAMKA_DEFINE_TYPE(page_type, struct page, .id = RAMKA_TYPE_ID_USER);

int main(void)
{
	struct ramka_host *host;
	if (ramka_host_create(NULL, &host) || ramka_type_register(ramka_host_ramka(host), &page_type))
		return 1;
	struct ramka *r = ramka_host_ramka(host);
	struct ramka_cpu *cpu = ramka_host_cpu(host); /* this thread's */

	struct ramka_frame *f = ramka_frame_alloc(cpu, &page_type, &(struct page){ 42 }, (struct ramka_request){ 0 }), *again;
	if (!f || ramka_frame_from_in_use(r, ramka_frame_paddr(r, f), &again))
		return 1;
	printf("frame at %#llx, owner %lu, %llu references\n", (unsigned long long)ramka_frame_paddr(r, f),
	       ((struct page *)ramka_frame_meta_as(r, again, &page_type))->owner, (unsigned long long)ramka_frame_refcount(f));
	ramka_frame_put(cpu, again);
	ramka_frame_put(cpu, f);
	ramka_host_destroy(host);
	return 0;
}
