/* SPDX-License-Identifier: MIT */
/*
 * The hosted layer's own functions under names that no program has: the sources say host_map, the linker sees
 * ramka_own_host_map. None of these is exported by the library.
 */
#ifndef RAMKA_LIB_HOST_NAMES_H
#define RAMKA_LIB_HOST_NAMES_H

#define host_barrier ramka_own_host_barrier
#define host_barrier_init ramka_own_host_barrier_init
#define host_detach_threads ramka_own_host_detach_threads
#define host_die ramka_own_host_die
#define host_last ramka_own_host_last
#define host_lease_give ramka_own_host_lease_give
#define host_lease_take ramka_own_host_lease_take
#define host_leases_fini ramka_own_host_leases_fini
#define host_leases_init ramka_own_host_leases_init
#define host_map ramka_own_host_map
#define host_panic ramka_own_host_panic
#define host_poll ramka_own_host_poll
#define host_source_ck ramka_own_host_source_ck
#define host_source_find ramka_own_host_source_find
#define host_source_mb ramka_own_host_source_mb
#define host_source_memb ramka_own_host_source_memb
#define host_source_qsbr ramka_own_host_source_qsbr
#define host_source_ramka ramka_own_host_source_ramka
#define host_source_thread_exit ramka_own_host_source_thread_exit
#define host_state_name ramka_own_host_state_name
#define host_thread_slow ramka_own_host_thread_slow
#define host_unmap ramka_own_host_unmap

#endif
