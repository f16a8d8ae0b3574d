/* SPDX-License-Identifier: MIT */
/* A thread that somebody joins at once: it runs when it is created, on the caller's stack. */
#ifndef PTHREAD_H
#define PTHREAD_H

#include <stddef.h>

typedef int pthread_t;
typedef int pthread_attr_t;

static inline int pthread_attr_init(pthread_attr_t *attr)
{
	*attr = 0;
	return 0;
}

static inline int pthread_attr_setstack(pthread_attr_t *attr, void *stack, size_t n)
{
	(void)attr, (void)stack, (void)n;
	return 0;
}

static inline int pthread_attr_destroy(pthread_attr_t *attr)
{
	(void)attr;
	return 0;
}

static inline int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
				 void *arg)
{
	(void)attr;
	*thread = 0;
	run(arg);
	return 0;
}

static inline int pthread_join(pthread_t thread, void **ret)
{
	(void)thread;
	if (ret)
		*ret = NULL;
	return 0;
}

#endif
