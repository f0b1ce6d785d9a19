/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock owner-ended 1
 * object: pool_lock
 * frame: child_work
 * variants: -O0 -O2
 *
 * What it is: a child forked while another thread of the parent held a mutex. In the child that
 * thread does not exist, and nobody will ever unlock the copy, though a thread of that number
 * still lives in the parent.
 */
#include "prog.h"

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t held;

static void *hold_and_sleep(void *arg)
{
	pthread_mutex_lock(&pool_lock);
	pthread_barrier_wait(&held);
	prog_sleep_long();
	return arg;
}

static __attribute__((noipa)) void child_work(void)
{
	alarm(PROG_LIFETIME_S);
	pthread_mutex_lock(&pool_lock);
	_exit(0);
}

int main(void)
{
	pid_t child;

	pthread_barrier_init(&held, NULL, 2);
	prog_thread(hold_and_sleep, NULL);
	pthread_barrier_wait(&held);
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0)
		child_work();
	prog_look_at(child);
	prog_ready();
	pause();
	return 0;
}
