/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock self 1
 * expect: stuck mutex-lock owner-stuck 60
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: big_lock
 * variants: -O2
 *
 * What it is: a thread stuck on itself and sixty more behind it, from one place in the code: one
 * finding of sixty, not sixty findings.
 */
#include "prog.h"

enum { WAITERS = 60 };

static pthread_mutex_t big_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t locked;

static void *lock_twice(void *arg)
{
	pthread_mutex_lock(&big_lock);
	pthread_barrier_wait(&locked);
	pthread_mutex_lock(&big_lock);
	return arg;
}

static void *wait_behind(void *arg)
{
	pthread_mutex_lock(&big_lock);
	return arg;
}

int main(void)
{
	pthread_t culprit;

	pthread_barrier_init(&locked, NULL, 2);
	culprit = prog_thread(lock_twice, NULL);
	pthread_barrier_wait(&locked);
	for (int i = 0; i < WAITERS; i++)
		prog_thread(wait_behind, NULL);
	prog_ready();
	pthread_join(culprit, NULL);
	return 0;
}
