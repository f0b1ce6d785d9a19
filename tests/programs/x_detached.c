/* SPDX-License-Identifier: MIT
 *
 * expect: alive cond-wait - 3
 * check: ends
 * creator: alive start_workers main
 * options: --grace=0
 * variants: -O0 -O2 no-pie clang
 *
 * What it is: three detached workers wait for jobs when main returns; a handler of exit could still
 * signal, so they are alive, not stuck.
 */
#include "settle.h"

static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t jobs_ready = PTHREAD_COND_INITIALIZER;
static int jobs;

static void *work(void *arg)
{
	pthread_mutex_lock(&jobs_lock);
	while (jobs == 0)
		pthread_cond_wait(&jobs_ready, &jobs_lock);
	pthread_mutex_unlock(&jobs_lock);
	return arg;
}

static __attribute__((noinline)) void start_workers(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 3; i++)
		PROG_CHECK(pthread_create(&thread, &attr, work, NULL) == 0);
	pthread_attr_destroy(&attr);
	settle(3);
}

int main(void)
{
	prog_ready();
	start_workers();
	return 0;
}
