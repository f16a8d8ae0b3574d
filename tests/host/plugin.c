/* SPDX-License-Identifier: MIT */
/* A plugin that has the hosted layer linked in; tests/host/unload.c loads and unloads it. */
#include <ramka/host.h>

struct ramka_host;

RAMKA_API int plugin_create(const struct ramka_host_options *opt, struct ramka_host **ret_h);
RAMKA_API struct ramka_cpu *plugin_cpu(struct ramka_host *h);
RAMKA_API void plugin_read_lock(struct ramka_host *h);
RAMKA_API void plugin_read_unlock(struct ramka_host *h);
RAMKA_API void plugin_destroy(struct ramka_host *h);

int plugin_create(const struct ramka_host_options *opt, struct ramka_host **ret_h)
{
	return ramka_host_create(opt, ret_h);
}

struct ramka_cpu *plugin_cpu(struct ramka_host *h)
{
	return ramka_host_cpu(h);
}

void plugin_read_lock(struct ramka_host *h)
{
	ramka_host_rcu_read_lock(h);
}

void plugin_read_unlock(struct ramka_host *h)
{
	ramka_host_rcu_read_unlock(h);
}

void plugin_destroy(struct ramka_host *h)
{
	ramka_host_destroy(h);
}
