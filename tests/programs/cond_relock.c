/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck mutex-lock owner-stuck 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * untimed: mutex-lock
 * object: queue_lock disk_lock
 * frame: wait_for_job
 * variants: -O0 -O2
 *
 * What it is: a thread was signalled out of pthread_cond_wait and waits to lock the mutex again,
 * still inside pthread_cond_wait. The signaller kept that mutex and is in a cycle over another.
 */
#include "prog.h"

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_added = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t disk_held;
static int waiting, jobs;

static void *wait_for_job(void *arg)
{
	pthread_mutex_lock(&queue_lock);
	waiting = 1;
	while (jobs == 0)
		pthread_cond_wait(&job_added, &queue_lock);
	pthread_mutex_unlock(&queue_lock);
	return arg;
}

static void *write_disk(void *arg)
{
	pthread_mutex_lock(&disk_lock);
	pthread_barrier_wait(&disk_held);
	prog_nap_ms(50); /* let the signaller lock first */
	pthread_mutex_lock(&queue_lock);
	return arg;
}

static void *add_job(void *arg)
{
	pthread_barrier_wait(&disk_held);
	pthread_mutex_lock(&queue_lock);
	while (!waiting) {
		pthread_mutex_unlock(&queue_lock);
		usleep(1000);
		pthread_mutex_lock(&queue_lock);
	}
	jobs++;
	pthread_cond_signal(&job_added);
	pthread_mutex_lock(&disk_lock);
	return arg;
}

int main(void)
{
	pthread_t waiter;

	pthread_barrier_init(&disk_held, NULL, 2);
	waiter = prog_thread(wait_for_job, NULL);
	while (!__atomic_load_n(&waiting, __ATOMIC_ACQUIRE))
		usleep(1000);
	prog_thread(write_disk, NULL);
	prog_thread(add_job, NULL);
	prog_ready();
	pthread_join(waiter, NULL);
	return 0;
}
