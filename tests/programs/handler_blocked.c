/* SPDX-License-Identifier: MIT
 *
 * expect: stuck sem-wait all-asleep 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: wakeup
 * variants: -O0 -O2
 *
 * What it is: a handler that would post the semaphore is installed, but every thread blocks its
 * signal for good. No handler can run, and nobody is live.
 */
#include "prog.h"
#include <semaphore.h>
#include <signal.h>

static sem_t wakeup;

static void post(int signal)
{
	(void)signal;
	sem_post(&wakeup);
}

static void *wait_for_post(void *arg)
{
	while (sem_wait(&wakeup) != 0)
		;
	return arg;
}

int main(void)
{
	struct sigaction action = { .sa_handler = post, .sa_flags = SA_RESTART };
	sigset_t blocked;
	pthread_t waiter;

	sem_init(&wakeup, 0, 0);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	PROG_CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0);
	PROG_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	waiter = prog_thread(wait_for_post, NULL);
	prog_ready();
	pthread_join(waiter, NULL);
	return 0;
}
