/* SPDX-License-Identifier: MIT */
/* Reports of wrong arguments. See argument.h. */
#include "argument.h"

noinline bool frame_pointer_bad(const struct ramka *r, const struct ramka_frame *f, const char *operation)
{
	instance_bug(r, operation, f ? "not a frame of this instance" : "frame is NULL", f, 0);
	return false;
}

noinline bool frame_argument_bad(const struct ramka *r, const struct ramka_frame *f, unsigned accept,
				 const char *operation)
{
	if (!slot_valid(r, f))
		return frame_pointer_bad(r, f, operation);
	instance_bug(r, operation,
		     accept == ACCEPT_SHARED ? "frame is not shared" :
		     accept == ACCEPT_OWNED  ? "frame is not in use" :
					       "frame is neither in use nor deferred",
		     f, slot_ref(f));
	return false;
}

noinline bool unique_argument_bad(const struct ramka *r, const struct ramka_frame *f, const char *operation)
{
	uint64_t ref;

	if (!slot_valid(r, f)) {
		instance_bug_of(r, operation, f ? "not a frame of this instance" : "frame is NULL", "u", f,
				0);
		return false;
	}
	ref = slot_ref(f);
	instance_bug_of(r, operation,
			ref == REF_UNIQUE ? "frame is in a list" : "frame is not unique (freed twice?)", "u",
			f, ref);
	return false;
}

noinline const struct type_entry *type_argument_bad(const struct ramka *r, const struct ramka_type *type,
						    const char *operation)
{
	instance_bug_argument(r, operation,
			      type_entry(r, type) ? "type is one that only the library gives to frames" :
						    "type is NULL or not registered",
			      "type", (uintptr_t)type, 0);
	return NULL;
}

struct ramka_frame *frame_at_address(const struct ramka *r, ramka_paddr_t pa, const char *operation)
{
	struct ramka_frame *f;
	int rc = instance_slot(r, pa, &f);

	if (!rc)
		return f;
	instance_bug_address(r, operation,
			     rc == RAMKA_E_NOT_ALIGNED ? "the address is not that of a page" :
							 "no frame at this address",
			     pa);
	return NULL;
}

noinline bool cpu_argument_asked(const struct ramka_cpu *cpu, const char *operation)
{
	const struct ramka *r = cpu->r;
	unsigned here;

	if (cpu->cacheless)
		return true;
	here = r->this_cpu(r->ctx, cpu->id);
	if (here == cpu->id)
		return true;
	instance_bug_argument(r, operation, "the handle is another CPU's or thread's", "cpu", cpu->id, here);
	return false;
}
