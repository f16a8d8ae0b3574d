/* SPDX-License-Identifier: MIT */
/* What set-up takes over from the early allocator. Called by map.c, layout.c and init.c. */
#ifndef RAMKA_LIB_SETUP_EARLY_H
#define RAMKA_LIB_SETUP_EARLY_H

#include "../base/mem.h"

#include "../base/instance.h"

/* Ranges that the early allocator handed out. */
static inline size_t early_ranges(const struct ramka_config *cfg)
{
	return cfg->early ? cfg->early->nr_ranges : 0;
}

#endif
