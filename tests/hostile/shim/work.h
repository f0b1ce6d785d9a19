/* SPDX-License-Identifier: MIT
 *
 * Some honest work with threads, of the same outcome each time.
 */
#ifndef WORK_H
#define WORK_H

#include "prog.h"
#include <semaphore.h>

enum { WORK_THREADS = 4, WORK_ROUNDS = 100 };

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t work_table = PTHREAD_RWLOCK_INITIALIZER;
static sem_t work_places;
static int work_turn, work_sum;

static void *work_in_turn(void *arg)
{
	int mine = (int)(size_t)arg;

	for (int i = 0; i < WORK_ROUNDS; i++) {
		while (sem_wait(&work_places) != 0)
			;
		pthread_mutex_lock(&work_lock);
		while (work_turn % WORK_THREADS != mine)
			pthread_cond_wait(&work_changed, &work_lock);
		work_turn++;
		pthread_rwlock_wrlock(&work_table);
		work_sum += mine;
		pthread_rwlock_unlock(&work_table);
		pthread_cond_broadcast(&work_changed);
		pthread_mutex_unlock(&work_lock);
		sem_post(&work_places);
	}
	return arg;
}

/* The same number every time. */
static inline int work(size_t stack_bytes)
{
	pthread_t threads[WORK_THREADS];
	pthread_attr_t attr;

	sem_init(&work_places, 0, WORK_THREADS);
	work_turn = work_sum = 0;
	pthread_attr_init(&attr);
	if (stack_bytes)
		PROG_CHECK(pthread_attr_setstacksize(&attr, stack_bytes) == 0);
	for (size_t i = 0; i < WORK_THREADS; i++)
		PROG_CHECK(pthread_create(&threads[i], &attr, work_in_turn, (void *)i) == 0);
	for (size_t i = 0; i < WORK_THREADS; i++)
		PROG_CHECK(pthread_join(threads[i], NULL) == 0);
	pthread_attr_destroy(&attr);
	return work_sum;
}

/* So many threads at once, each waiting for the last; how many there were. */
static pthread_barrier_t crowd_barrier;

static inline void *crowd_wait(void *arg)
{
	pthread_barrier_wait(&crowd_barrier);
	return arg;
}

static inline int crowd(int size, size_t stack_bytes)
{
	pthread_t *threads = (pthread_t *)calloc((size_t)size, sizeof(*threads));
	pthread_attr_t attr;

	PROG_CHECK(threads);
	pthread_barrier_init(&crowd_barrier, NULL, (unsigned)size + 1);
	pthread_attr_init(&attr);
	PROG_CHECK(pthread_attr_setstacksize(&attr, stack_bytes) == 0);
	for (int i = 0; i < size; i++)
		PROG_CHECK(pthread_create(&threads[i], &attr, crowd_wait, NULL) == 0);
	pthread_barrier_wait(&crowd_barrier);
	for (int i = 0; i < size; i++)
		PROG_CHECK(pthread_join(threads[i], NULL) == 0);
	pthread_attr_destroy(&attr);
	free(threads);
	return size;
}

#endif
