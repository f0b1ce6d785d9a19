/* SPDX-License-Identifier: MIT
 *
 * expect: stuck cond-wait all-asleep 1
 * expect: stuck sem-wait all-asleep 1
 * expect: stuck barrier-wait all-asleep 1
 * expect: stuck mutex-lock owner-stuck 1
 * expect: stuck rwlock-rdlock owner-stuck 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: changed items all_here lock table
 * variants: -O0 -O2 static
 *
 * What it is: nobody is live. One thread each on a condition, a semaphore and a barrier, that
 * could be ended by anybody; behind them one that waits for a mutex and one for a rwlock that
 * sleepers hold; and main, which joins.
 */
#include "prog.h"
#include <semaphore.h>

static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t all_here, started;
static sem_t items;

static void *on_cond(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_lock(&own);
	pthread_barrier_wait(&started);
	for (;;)
		pthread_cond_wait(&changed, &own);
	return arg;
}

static void *on_sem(void *arg)
{
	pthread_rwlock_wrlock(&table);
	pthread_barrier_wait(&started);
	while (sem_wait(&items) != 0)
		;
	return arg;
}

static void *on_barrier(void *arg)
{
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&all_here);
	return arg;
}

static void *on_mutex(void *arg)
{
	pthread_barrier_wait(&started);
	pthread_mutex_lock(&lock);
	return arg;
}

static void *on_rwlock(void *arg)
{
	pthread_barrier_wait(&started);
	pthread_rwlock_rdlock(&table);
	return arg;
}

int main(void)
{
	pthread_t first;

	sem_init(&items, 0, 0);
	pthread_barrier_init(&all_here, NULL, 2);
	pthread_barrier_init(&started, NULL, 6);
	first = prog_thread(on_cond, NULL);
	prog_thread(on_sem, NULL);
	prog_thread(on_barrier, NULL);
	prog_thread(on_mutex, NULL);
	prog_thread(on_rwlock, NULL);
	pthread_barrier_wait(&started);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
