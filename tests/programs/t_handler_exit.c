/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: signal USR1
 * variants: -O0 -O2
 *
 * What it is: a thread waits for a mutex that nobody will ever unlock, main joins the thread, and
 * a handler that only this thread lets in would end it by pthread_exit, as some programs do in
 * place of cancellation. At the end the signal comes, and main goes on.
 */
#include "prog.h"
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void end_thread(int signal)
{
	(void)signal;
	pthread_exit(NULL);
}

static void *lock_and_return(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

static void *wait_for_lock(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	PROG_CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
	pthread_mutex_lock(&lock);
	return arg;
}

int main(void)
{
	struct sigaction action = { .sa_handler = end_thread };
	pthread_t waiter;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	PROG_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	PROG_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	pthread_join(prog_thread(lock_and_return, NULL), NULL);
	waiter = prog_thread(wait_for_lock, NULL);
	prog_ready();
	pthread_join(waiter, NULL);
	prog_end(true);
}
