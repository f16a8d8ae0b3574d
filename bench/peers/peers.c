/* SPDX-License-Identifier: MIT */
/* The table of all peers, in the order in which tables and plots show them. */
#include "peers.h"

const struct bench_peer *const bench_peers[] = {
	&peer_null,	    &peer_floor,       &peer_floor_shared, &peer_ramka,	   &peer_ramka_shared,
	&peer_ramka_all,    &peer_ramka_zeroed, &peer_ramka_none,  &peer_buddy,	   &peer_buddy_owner, &peer_dpdk,
	&peer_ramka_hints,  &peer_ramka_hardened, &peer_buddy_types,
	&peer_ck_stack,	    &peer_ck_ring,     &peer_treiber,	   &peer_tcmalloc, &peer_jemalloc,
	&peer_mimalloc,	    &peer_glibc,       &peer_at_once,	   &peer_fifo,	   &peer_rcu_memb,
	&peer_rcu_qsbr,	    &peer_rcu_mb,      &peer_rcu_ck,	   &peer_rcu_ramka, &peer_call_rcu,
	NULL,
};
