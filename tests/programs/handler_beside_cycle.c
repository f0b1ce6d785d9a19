/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * check: handles TERM
 * object: left right
 * variants: -O0 -O2
 *
 * What it is: a cycle of two mutexes beside an unblocked handler. A handler may post or signal
 * what is shared, but it cannot unlock another's mutex: the cycle stays proved. Main, which waits
 * on a semaphore that the handler posts, is not stuck.
 */
#include "prog.h"
#include <semaphore.h>
#include <signal.h>

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static sem_t asked_to_end;

static void post(int signal)
{
	(void)signal;
	sem_post(&asked_to_end);
}

static void *left_then_right(void *arg)
{
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&right);
	return arg;
}

static void *right_then_left(void *arg)
{
	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&left);
	return arg;
}

int main(void)
{
	struct sigaction action = { .sa_handler = post, .sa_flags = SA_RESTART };

	sem_init(&asked_to_end, 0, 0);
	PROG_CHECK(sigaction(SIGTERM, &action, NULL) == 0);
	pthread_barrier_init(&both, NULL, 2);
	prog_thread(left_then_right, NULL);
	prog_thread(right_then_left, NULL);
	prog_ready();
	while (sem_wait(&asked_to_end) != 0)
		;
	return 0;
}
