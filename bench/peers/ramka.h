/* SPDX-License-Identifier: MIT */
/* An instance of ramka on a mapping that stands for physical memory, for the peers that use it in different ways. */
#ifndef BENCH_PEERS_RAMKA_H
#define BENCH_PEERS_RAMKA_H

#include <ramka/ramka.h>

#include "peers.h"

/* rcu: NULL, or where grace periods come from. */
void *bench_ramka_create(const struct bench_shape *shape, const struct ramka_rcu_ops *rcu);
void bench_ramka_destroy(void *instance);
struct ramka *bench_ramka_of(void *instance);

#endif
