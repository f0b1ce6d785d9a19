/* SPDX-License-Identifier: MIT
 *
 * expect: stuck join cycle 1
 * expect: stuck mutex-lock cycle 1
 * check: deadlock
 * object: state_lock
 * frame: shut_down
 * variants: -O0 -O2
 *
 * What it is: main joins a worker while it holds the lock that the worker needs to finish.
 */
#include "prog.h"

static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t locked;

static void *finish_work(void *arg)
{
	pthread_barrier_wait(&locked);
	pthread_mutex_lock(&state_lock);
	pthread_mutex_unlock(&state_lock);
	return arg;
}

static __attribute__((noipa)) int shut_down(pthread_t worker)
{
	int rc;

	pthread_mutex_lock(&state_lock);
	pthread_barrier_wait(&locked);
	prog_ready();
	rc = pthread_join(worker, NULL);
	pthread_mutex_unlock(&state_lock);
	return rc;
}

int main(void)
{
	pthread_barrier_init(&locked, NULL, 2);
	return shut_down(prog_thread(finish_work, NULL));
}
