/* SPDX-License-Identifier: MIT */
/* The peers, one file of bench/peers/ each or one for several of a kind. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "../bench.h"

extern const struct bench_peer peer_null, peer_floor, peer_floor_shared; /* floor.c */
extern const struct bench_peer peer_ramka, peer_ramka_all, peer_ramka_hardened, peer_ramka_shared, peer_ramka_zeroed,
	peer_ramka_none, peer_ramka_hints;		    /* ramka.c */
extern const struct bench_peer peer_ramka_deferred, peer_ramka_address; /* ramka_uses.c; for bench/scale */
extern const struct bench_peer peer_buddy;		    /* buddy.c */
extern const struct bench_peer peer_buddy_owner;	    /* buddy_owner.c */
extern const struct bench_peer peer_buddy_types;	    /* buddy_types.c */
extern const struct bench_peer peer_treiber;		    /* treiber.c */
extern struct bench_peer peer_dpdk;			    /* dpdk.c, filled in from dpdk_pool.c */
extern const struct bench_peer peer_ck_stack, peer_ck_ring; /* ck.c */
extern const struct bench_peer peer_glibc, peer_jemalloc, peer_mimalloc, peer_tcmalloc; /* malloc.c */
extern const struct bench_peer peer_at_once, peer_fifo, peer_rcu_memb, peer_rcu_qsbr, peer_rcu_mb,
	peer_rcu_ck, peer_rcu_ramka, peer_call_rcu; /* rcu.c; for `deferred` only */

#endif
