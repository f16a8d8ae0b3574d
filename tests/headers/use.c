/* SPDX-License-Identifier: MIT */
/*
 * Uses what the public headers define as macros or inline, in C and in C++: type descriptors, requests, atomics,
 * versions, errors. Nothing here calls the library, so it links without.
 */
#include <ramka/ramka.h>

struct page {
	uint64_t owner;
	uint32_t use;
};

static void page_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu;
	(void)paddr;
	(void)content;
	((struct page *)meta)->owner = 0;
}

static int page_check(const void *meta)
{
	return ((const struct page *)meta)->owner != 0;
}

static RAMKA_DEFINE_TYPE(page_type, struct page, .id = RAMKA_TYPE_ID_USER, .flags = RAMKA_TYPE_RCU,
			 .on_drop = page_drop, .check = page_check);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = RAMKA_TYPE_ID_USER + 1, .flags = RAMKA_TYPE_UNTYPED);

RAMKA_STATIC_ASSERT(sizeof(struct ramka_request) == 8, "a request is passed in one register");
RAMKA_STATIC_ASSERT(sizeof(struct ramka_qsbr_cpu) == 64 && RAMKA_ALIGNOF(struct ramka_qsbr_cpu) == 64, "a cache line");
RAMKA_STATIC_ASSERT(RAMKA_E_INVAL == -1 && RAMKA_E_UNSUPPORTED == -9, "errors are -1..-9");

static int types(void)
{
	struct page page = { 1, 2 };

	if (page_type.meta_size != sizeof(struct page) || page_type.meta_align != RAMKA_ALIGNOF(struct page))
		return 1;
	if (plain_type.meta_size != 0 || plain_type.meta_align != 1 || plain_type.on_drop || plain_type.name[0] != 'p')
		return 2;
	if (page_type.id != 16 || !page_type.check(&page))
		return 3;
	page_type.on_drop(NULL, &page, 0, NULL);
	return page.owner ? 4 : 0;
}

static int atomics(void)
{
	struct ramka_atomic_u64 a = { 5 };
	struct ramka_atomic_u32 b = { 1 };
	uint64_t five = 5;

	if (!ramka_cas(&a, &five, 6, acq_rel, test) || ramka_cas(&a, &five, 7, acquire, test) || five != 6)
		return 1;
	ramka_store(&b, 2, release, test);
	if (ramka_load(&b, acquire, test) != 2)
		return 2;
	if (ramka_add(&b, 1, relaxed, test) != 2 || ramka_sub(&b, 1, acq_rel, test) != 3)
		return 3;
	if (ramka_xchg(&a, 12, acquire, test) != 6 || ramka_or(&a, 3, release, test) != 12)
		return 4;
	if (ramka_and(&a, 7, release, test) != 15)
		return 5;
	ramka_compiler_barrier();
	return ramka_xor(&a, 7, relaxed, test) == 7 && !ramka_load(&a, relaxed, test) ? 0 : 6;
}

int main(void)
{
	struct ramka_request req = { 0, 0, 0, 0, 0 };
	struct ramka_list list;
	struct ramka_cursor cursor = { &list, NULL };

	req.node = RAMKA_NODE(3);
	req.flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT | RAMKA_ALLOC_NODE_ONLY;
	if (req.node != 4 || cursor.list != &list || RAMKA_PRESSURE <= 0)
		return 1;
	if (RAMKA_VERSION[0] != '0' + RAMKA_VERSION_MAJOR)
		return 2;
	return types() * 10 + atomics() * 100;
}
