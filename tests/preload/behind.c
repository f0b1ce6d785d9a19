/* SPDX-License-Identifier: MIT
 *
 * Another library that stands in front of the C library, behind the shim: it counts what reaches it,
 * and passes it on. Nothing of it has a version, as is usual.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned locks, waits, names;

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int (*next)(pthread_mutex_t *) = dlsym(RTLD_NEXT, "pthread_mutex_lock");

	locks++;
	return next(mutex);
}

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	int (*next)(pthread_cond_t *, pthread_mutex_t *) =
		dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2");

	waits++;
	return next(cond, mutex);
}

int pthread_setname_np(pthread_t thread, const char *name)
{
	int (*next)(pthread_t, const char *) = dlsym(RTLD_NEXT, "pthread_setname_np");

	names++;
	return next(thread, name);
}

__attribute__((destructor)) static void tell(void)
{
	fprintf(stderr, "behind: %u %u %u\n", locks, waits, names);
}
