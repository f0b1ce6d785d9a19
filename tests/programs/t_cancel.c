/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: join | cond | sem | owner
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: threads that wait for each other in a ring of joins, on a condition, on a
 * semaphore that nobody posts, or for a mutex whose owner joins one of them; all but the mutex are
 * cancellation points, and a live main has the handles and at the end cancels.
 */
#include "prog.h"
#include <semaphore.h>

enum { THREADS = 3 };

static pthread_t thread[THREADS];
static pthread_barrier_t all_started;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static sem_t items;

static pthread_mutex_t needed = PTHREAD_MUTEX_INITIALIZER;

static void unlock(void *arg)
{
	pthread_mutex_unlock(arg);
}

static void *join_next(void *arg)
{
	pthread_barrier_wait(&all_started);
	pthread_join(thread[((long)arg + 1) % THREADS], NULL);
	return arg;
}

/* Thread 0 joins thread 1 and holds the mutex that the others need. */
static void *join_or_lock(void *arg)
{
	bool owner = (long)arg == 0;

	if (owner)
		pthread_mutex_lock(&needed);
	pthread_barrier_wait(&all_started);
	pthread_cleanup_push(unlock, &needed);
	if (owner)
		pthread_join(thread[1], NULL);
	else
		pthread_mutex_lock(&needed);
	pthread_cleanup_pop(1);
	return arg;
}

static void *wait_cond(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock, &lock);
	pthread_barrier_wait(&all_started);
	for (;;)
		pthread_cond_wait(&changed, &lock);
	pthread_cleanup_pop(1);
	return arg;
}

static void *wait_sem(void *arg)
{
	pthread_barrier_wait(&all_started);
	while (sem_wait(&items) != 0)
		;
	return arg;
}

int main(int argc, char **argv)
{
	void *(*start)(void *);
	bool ring, owner;

	PROG_CHECK(argc == 2);
	ring = strcmp(argv[1], "join") == 0;
	owner = strcmp(argv[1], "owner") == 0;
	start = ring			       ? join_next
		: owner			       ? join_or_lock
		: strcmp(argv[1], "cond") == 0 ? wait_cond
					       : wait_sem;
	sem_init(&items, 0, 0);
	pthread_barrier_init(&all_started, NULL, start == wait_cond ? 2 : THREADS + 1);
	for (long i = 0; i < THREADS; i++) {
		thread[i] = prog_thread(start, (void *)i);
		if (start == wait_cond)
			pthread_barrier_wait(&all_started);
	}
	if (start != wait_cond)
		pthread_barrier_wait(&all_started);
	prog_ready();
	while (!prog_stop())
		prog_nap_ms(20);
	for (int i = 0; i < (ring || owner ? 1 : THREADS); i++)
		PROG_CHECK(pthread_cancel(thread[i]) == 0);
	if (!ring)
		for (int i = 0; i < THREADS; i++)
			PROG_CHECK(pthread_join(thread[i], NULL) == 0);
	prog_end(true);
}
