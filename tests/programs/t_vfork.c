/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: sem | owner
 * ends: quit
 * variants: -O2 pidns
 *
 * What it is: a thread is inside vfork, so it cannot be stopped; its child, which is no thread of
 * this process but runs in its memory, will post the semaphore that main waits for. "owner": main
 * waits for a mutex that the thread holds.
 */
#include "prog.h"
#include <semaphore.h>
#include <sys/wait.h>

static sem_t from_child;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t locked;

static void *fork_and_wait(void *arg)
{
	int status;
	pid_t child;

	pthread_mutex_lock(&held);
	pthread_barrier_wait(&locked);
	child = vfork();

	if (child == 0) {
		while (!prog_stop())
			prog_nap_ms(20);
		sem_post(&from_child);
		_exit(0);
	}
	PROG_CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	pthread_mutex_unlock(&held);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	sem_init(&from_child, 0, 0);
	pthread_barrier_init(&locked, NULL, 2);
	PROG_CHECK(argc == 2);
	thread = prog_thread(fork_and_wait, NULL);
	pthread_barrier_wait(&locked);
	prog_ready();
	if (strcmp(argv[1], "owner") == 0)
		pthread_mutex_lock(&held);
	while (sem_wait(&from_child) != 0)
		;
	pthread_join(thread, NULL);
	prog_end(true);
}
