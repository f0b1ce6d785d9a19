/* SPDX-License-Identifier: MIT
 *
 * A library whose constructor runs before libstrand.so's, and its destructor after: threads are made,
 * joined and left waiting there too.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

static sem_t begun, never;

static void *stay(void *p)
{
	sem_post(&begun);
	sem_wait(&never);
	return p;
}

static void *end(void *p)
{
	return p;
}

static void join_one(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, end, NULL) || pthread_join(thread, NULL))
		abort();
}

__attribute__((constructor)) static void construct(void)
{
	pthread_t thread;

	sem_init(&begun, 0, 0);
	sem_init(&never, 0, 0);
	join_one();
	if (pthread_create(&thread, NULL, stay, NULL) || pthread_detach(thread))
		abort();
	sem_wait(&begun);
}

__attribute__((destructor)) static void destruct(void)
{
	join_one();
}
