/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O2 pidns
 *
 * What it is: a thread is inside vfork, so it cannot be stopped; its child, which is no thread of
 * this process but runs in its memory, will post the semaphore that main waits for.
 */
#include "prog.h"
#include <semaphore.h>
#include <sys/wait.h>

static sem_t from_child;

static void *fork_and_wait(void *arg)
{
	int status;
	pid_t child = vfork();

	if (child == 0) {
		while (!prog_stop())
			prog_nap_ms(20);
		sem_post(&from_child);
		_exit(0);
	}
	PROG_CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&from_child, 0, 0);
	thread = prog_thread(fork_and_wait, NULL);
	prog_ready();
	while (sem_wait(&from_child) != 0)
		;
	pthread_join(thread, NULL);
	prog_end(true);
}
