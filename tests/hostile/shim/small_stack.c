/* SPDX-License-Identifier: MIT
 *
 * Threads with the smallest stack there may be, that lock, wait, start and join others: what an
 * interposer puts on it must fit, too.
 */
#include "prog.h"
#include <limits.h>
#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static sem_t turn;
static int depth;

static pthread_t start_small(void *(*start)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	PROG_CHECK(pthread_attr_setstacksize(&attr, 16384) == 0);
	PROG_CHECK(pthread_create(&thread, &attr, start, arg) == 0);
	pthread_attr_destroy(&attr);
	return thread;
}

static void *wake(void *arg)
{
	pthread_mutex_lock(&lock);
	depth++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	prog_nap_ms(1);
	sem_post(&turn);
	return arg;
}

static void *work(void *arg)
{
	size_t left = (size_t)arg;
	int before;
	pthread_t thread;

	pthread_rwlock_rdlock(&table);
	pthread_mutex_lock(&lock);
	before = depth;
	thread = start_small(wake, NULL);
	while (depth == before)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	while (sem_wait(&turn) != 0)
		;
	pthread_join(thread, NULL);
	if (left > 0)
		pthread_join(start_small(work, (void *)(left - 1)), NULL);
	pthread_rwlock_unlock(&table);
	return NULL;
}

int main(void)
{
	sem_init(&turn, 0, 0);
	pthread_join(start_small(work, (void *)12), NULL);
	printf("%d woken\n", depth);
	return 0;
}
