/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * first20: jobs_ready wait_for_job
 * variants: -O0 -O2
 *
 * What it is: hung, but not provable: the condition was signalled before the workers waited for
 * it, and they never look at the queue again, while main sits in poll. Code of main could signal
 * once more, so nothing is stuck; the report has to lead to the condition and who waits for it.
 */
#include "prog.h"
#include <sys/eventfd.h>

static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t jobs_ready = PTHREAD_COND_INITIALIZER;
static int jobs;

static __attribute__((noipa)) int wait_for_job(void)
{
	int job;

	pthread_mutex_lock(&jobs_lock);
	pthread_cond_wait(&jobs_ready, &jobs_lock); /* the bug: no look at jobs before waiting */
	job = jobs--;
	pthread_mutex_unlock(&jobs_lock);
	return job;
}

static void *worker(void *arg)
{
	while (wait_for_job() >= 0)
		;
	return arg;
}

static void add_job(void)
{
	pthread_mutex_lock(&jobs_lock);
	jobs++;
	pthread_cond_signal(&jobs_ready);
	pthread_mutex_unlock(&jobs_lock);
}

static int serve(void)
{
	struct pollfd client = { eventfd(0, 0), POLLIN, 0 };

	return poll(&client, 1, -1);
}

int main(void)
{
	add_job();
	for (int i = 0; i < 4; i++)
		prog_thread(worker, NULL);
	prog_ready();
	return serve();
}
