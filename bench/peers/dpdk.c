/* SPDX-License-Identifier: MIT */
/*
 * DPDK's mempool. The peer itself is in a module beside the program (dpdk_pool.c), so that the program runs
 * where DPDK is not installed; what is here loads it and fills the table in.
 */
#define _GNU_SOURCE
#include "peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *load(void)
{
	static char why[300];
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	const struct bench_peer *module_peer;
	void *module;

	if (peer_dpdk.create)
		return NULL;
	if (n < 0)
		return "/proc/self/exe cannot be read";
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "peer-dpdk.so");
	if (access(path, R_OK))
		return "the program was built without DPDK's headers or libraries";
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	module_peer = module ? dlsym(module, "bench_module_peer") : NULL;
	if (!module_peer) {
		snprintf(why, sizeof(why), "%s", dlerror());
		return why;
	}
	if (module_peer->load())
		return module_peer->load();
	peer_dpdk = *module_peer;
	return NULL;
}

struct bench_peer peer_dpdk = {
	.name = "dpdk",
	.what = "DPDK's rte_mempool (shared ring, cache of 256 a thread) and a slot",
	.flags = PEER_BOUNDED | PEER_SLOT | PEER_BULK,
	.load = load,
	.stride = 16,
};
