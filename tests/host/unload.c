/* SPDX-License-Identifier: MIT */
/*
 * dlclose: threads that used the hosted layer end after it was unloaded, and the process forks and exits then. Once for the
 * shared library, which stays, and once for a plugin that has the layer linked in, which goes.
 *
 *	unload PLUGIN LIBRARY
 */
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ramka/host.h>

#include "host_test.h"

struct layer {
	const char *path, *prefix;
	bool stays;
	int (*create)(const struct ramka_host_options *opt, struct ramka_host **ret_h);
	struct ramka_cpu *(*cpu)(struct ramka_host *h);
	void (*read_lock)(struct ramka_host *h);
	void (*read_unlock)(struct ramka_host *h);
	void (*destroy)(struct ramka_host *h);
};

static struct layer layer;
static struct ramka_host *h;
static atomic_int used, closed;

static void *symbol(void *library, const char *name)
{
	char full[64];
	void *p;

	snprintf(full, sizeof(full), "%s%s", layer.prefix, name);
	p = dlsym(library, full);
	CHECK(p);
	return p;
}

/* Through memcpy: C has no conversion of a pointer to an object into one to a function. */
#define FIND(field, name) \
	do { \
		void *p = symbol(library, name); \
		memcpy(&layer.field, &p, sizeof(p)); \
	} while (0)

static void *load(void)
{
	void *library = dlopen(layer.path, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(library);
	FIND(create, "create");
	FIND(cpu, "cpu");
	FIND(read_lock, *layer.prefix == 'p' ? "read_lock" : "rcu_read_lock");
	FIND(read_unlock, *layer.prefix == 'p' ? "read_unlock" : "rcu_read_unlock");
	FIND(destroy, "destroy");
	return library;
}

static void unload(void *library)
{
	CHECK(dlclose(library) == 0);
	library = dlopen(layer.path, RTLD_NOW | RTLD_NOLOAD);
	CHECK(layer.stays == (library != NULL));
	if (library)
		CHECK(dlclose(library) == 0);
}

static void *user(void *arg)
{
	CHECK(layer.cpu(h));
	layer.read_lock(h);
	layer.read_unlock(h);
	atomic_store(&used, 1);
	await(&closed, 1);
	return arg;
}

static void forks(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		_exit(0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void thread_ends_after(const char *rcu)
{
	struct ramka_host_options opt = { .memory = 4 << 20, .nr_cpus = 2, .rcu = rcu };

	for (unsigned round = 0; round < 3; round++) {
		void *library = load();
		int error = layer.create(&opt, &h);
		pthread_t t;

		CHECK(error == 0 || error == RAMKA_E_UNSUPPORTED);
		if (error) {
			skip_reason = "not built in";
			unload(library);
			return;
		}
		atomic_store(&used, 0);
		atomic_store(&closed, 0);
		t = spawn(user, NULL);
		await(&used, 1);
		layer.destroy(h);
		unload(library);
		forks();
		atomic_store(&closed, 1);
		join(t);
	}
}

int main(int argc, char **argv)
{
	static const char *const sources[] = { "memb", "qsbr", "mb", "ck", "ramka" };

	CHECK(argc == 3);
	for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		printf("# %s\n", sources[i]);
		layer = (struct layer){ .path = argv[1], .prefix = "plugin_" };
		CASE(thread_ends_after(sources[i]));
		layer = (struct layer){ .path = argv[2], .prefix = "ramka_host_", .stays = true };
		CASE(thread_ends_after(sources[i]));
	}
	return end_of_cases();
}
