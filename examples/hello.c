/* SPDX-License-Identifier: MIT */
/* The smallest hosted program. README.md prints it. */
#include <ramka/host.h>
#include <stdio.h>

struct page { unsigned long owner; };            /* what you keep with each frame */
RAMKA_DEFINE_TYPE(page_type, struct page, .id = RAMKA_TYPE_ID_USER);

int main(void)
{
	struct ramka_host *host;                 /* in a kernel: ramka_init */
	if (ramka_host_create(NULL, &host))
		return 1;
	struct ramka *r = ramka_host_ramka(host);
	struct ramka_cpu *cpu = ramka_host_cpu(host); /* this thread's; in a kernel: ramka_cpu_at */
	struct ramka_frame *f = NULL, *again;

	if (!ramka_type_register(r, &page_type)) /* a zeroed frame of 4 KiB, with one reference */
		f = ramka_frame_alloc(cpu, &page_type, &(struct page){ 42 }, (struct ramka_request){ 0 });
	if (!f || ramka_frame_from_in_use(r, ramka_frame_paddr(r, f), &again)) /* one more, by address */
		return 1;
	printf("frame at %#llx, owner %lu\n", (unsigned long long)ramka_frame_paddr(r, again),
	       ((struct page *)ramka_frame_meta_as(r, again, &page_type))->owner);
	ramka_frame_put(cpu, again);
	ramka_frame_put(cpu, f);                 /* the last reference: the frame is free */
	ramka_host_destroy(host);
	return 0;
}
