/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: quit
 * variants: -O0 -O2 pidns
 *
 * What it is: a thread forks while it holds a mutex and sleeps on, others of the parent wait for
 * the mutex, and children come and go all the time, as does a lock held across each fork.
 */
#include "prog.h"
#include <stdatomic.h>
#include <sys/wait.h>

static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t held;
static atomic_bool stop;

static void fork_and_wait(void)
{
	pid_t child;
	int status;

	pthread_mutex_lock(&fork_mutex);
	child = fork();
	if (child == 0) {
		prog_nap_ms(2);
		_exit(0);
	}
	PROG_CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	pthread_mutex_unlock(&fork_mutex);
}

static void *hold_across_forks(void *arg)
{
	pthread_mutex_lock(&held_mutex);
	pthread_barrier_wait(&held);
	while (!atomic_load(&stop)) {
		fork_and_wait();
		usleep(1000);
	}
	pthread_mutex_unlock(&held_mutex);
	return arg;
}

static void *wait_for_held(void *arg)
{
	pthread_mutex_lock(&held_mutex);
	pthread_mutex_unlock(&held_mutex);
	return arg;
}

static void *wait_for_fork(void *arg)
{
	while (!atomic_load(&stop)) {
		pthread_mutex_lock(&fork_mutex);
		pthread_mutex_unlock(&fork_mutex);
	}
	return arg;
}

int main(void)
{
	pthread_t thread[4];

	pthread_barrier_init(&held, NULL, 2);
	thread[0] = prog_thread(hold_across_forks, NULL);
	pthread_barrier_wait(&held);
	thread[1] = prog_thread(wait_for_held, NULL);
	thread[2] = prog_thread(wait_for_fork, NULL);
	thread[3] = prog_thread(wait_for_fork, NULL);
	prog_ready();
	while (!prog_stop())
		prog_nap_ms(20);
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	prog_end(true);
}
