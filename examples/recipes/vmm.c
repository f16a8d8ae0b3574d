/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine monitor's guest memory: one memfd, which other processes (a device model, vhost-user) map too. A guest
 * physical address is an offset in the file and an address of ramka at once. A frame that the guest returns through its
 * balloon is freed in ramka, and its drop hook gives the memory back to the host.
 */
#include "recipe.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUEST ((uint64_t)32 << 20)

static int fd;

/* ---- the recipe ---- */

/* Runs when the last reference goes: guest, device model and migration may each have one. */
static void punch(struct ramka_cpu *cpu, void *meta, ramka_paddr_t pa, void *content)
{
	struct ramka_frame_ref f = ramka_frame_at(r, pa);

	(void)cpu, (void)meta, (void)content;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)pa, (off_t)ramka_frame_size(f.frame)))
		perror("fallocate");
}

static RAMKA_DEFINE_TYPE_PLAIN(guest_type, .id = RAMKA_TYPE_ID_USER, .flags = RAMKA_TYPE_UNTYPED, .on_drop = punch);

static char *map_guest(void)
{
	char *p = mmap(NULL, GUEST, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* The metadata lies outside the guest's memory: no guest and no device model can write to it. */
static void *create(char *guest)
{
	struct ramka_region regions[] = {
		{ 0, 1u << 20, RAMKA_RESERVED, 0 },        /* firmware */
		{ 0, GUEST / 2, RAMKA_USABLE, 0 },
		{ GUEST / 2, GUEST / 2, RAMKA_RECLAIMABLE, 0 }, /* a memory slot that is plugged later */
	};
	struct ramka_config cfg = { .regions = regions, .nr_regions = 3, .nr_cpus = 1, .meta_size = RAMKA_META_NONE,
				    .direct_map = (uintptr_t)guest };
	size_t bytes;
	void *metadata;

	CHECK(!ramka_metadata_size(&cfg, &bytes));
	metadata = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(metadata != MAP_FAILED && !ramka_init(&cfg, metadata, bytes, &r));
	CHECK(!ramka_type_register(r, &guest_type));
	return metadata;
}

/* ---- its test ---- */

static long host_bytes(void)
{
	struct stat s;

	CHECK(!fstat(fd, &s));
	return (long)s.st_blocks * 512;
}

/* The device model: another process with a mapping of its own. */
static void device_writes(ramka_paddr_t pa, const char *text)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (!child) {
		strcpy(map_guest() + pa, text);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && !status);
}

int main(void)
{
	struct ramka_frame *f[3], *none;
	struct ramka_cpu *cpu;
	char text[8];
	long before;

	fd = memfd_create("guest", 0);
	CHECK(fd >= 0 && !ftruncate(fd, (off_t)GUEST));
	create(map_guest());
	cpu = ramka_cpu_at(r, 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK((f[i] = ramka_frame_alloc(cpu, &guest_type, NULL, (struct ramka_request){ .order = (uint8_t)(i * 4) })));
	device_writes(ramka_frame_paddr(r, f[1]), "packet");
	CHECK(!ramka_frame_read(r, f[1], 0, text, sizeof(text)) && !strcmp(text, "packet"));

	before = host_bytes();
	ramka_frame_get(r, f[2]); /* the device still uses it */
	ramka_frame_put(cpu, f[2]);
	CHECK(host_bytes() == before);
	ramka_frame_put(cpu, f[2]);
	CHECK(before - host_bytes() == 256 * (long)RAMKA_PAGE_SIZE);
	ramka_frame_put(cpu, f[1]);
	ramka_frame_put(cpu, f[0]);

	CHECK(!(none = ramka_frame_alloc(cpu, &guest_type, NULL, (struct ramka_request){ .order = 12 })));
	CHECK(!ramka_add_memory(r, &(struct ramka_region){ GUEST / 2, GUEST / 2, RAMKA_USABLE, 0 }));
	f[0] = ramka_frame_alloc(cpu, &guest_type, NULL, (struct ramka_request){ .order = 12, .flags = RAMKA_ALLOC_UNINIT });
	CHECK(f[0] && ramka_frame_paddr(r, f[0]) == GUEST / 2); /* the new slot has it */
	ramka_frame_put(cpu, f[0]);
	CHECK(!ramka_check(r, NULL) && !ramka_fini(r));
	puts("guest memory on a memfd: shared with a device, ballooned, plugged");
	return 0;
}
