/* SPDX-License-Identifier: MIT
 *
 * expect: stuck cond-wait all-asleep 3
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: jobs_ready
 * frame: wait_for_job
 * variants: -O0 -O2 pidns
 *
 * What it is: every worker waits on a global condition variable, and main, who was to signal it,
 * joins a worker. Code could reach the condition, but nobody is left to run any.
 */
#include "prog.h"

static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t jobs_ready = PTHREAD_COND_INITIALIZER;
static int jobs;

static __attribute__((noipa)) int wait_for_job(void)
{
	pthread_mutex_lock(&jobs_lock);
	while (jobs == 0)
		pthread_cond_wait(&jobs_ready, &jobs_lock);
	jobs--;
	pthread_mutex_unlock(&jobs_lock);
	return jobs;
}

static void *worker(void *arg)
{
	wait_for_job();
	return arg;
}

int main(void)
{
	pthread_t thread[3];

	for (int i = 0; i < 3; i++)
		thread[i] = prog_thread(worker, NULL);
	prog_ready();
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
