/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * check: ends
 * args: abort | segv | kill | term | alarm | segv_in_thread
 * status@abort: ABRT
 * status@segv: SEGV
 * status@kill: KILL
 * status@term: TERM
 * status@alarm: ALRM
 * status@segv_in_thread: SEGV
 * moment: killed
 * variants: -O2
 *
 * What it is: death by a signal, with threads in a deadlock that nobody had the time to prove: a
 * report of what was recorded, and no verdict that would need a look.
 */
#include "settle.h"
#include <signal.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both_hold;

static void *lock_a_b(void *arg)
{
	pthread_mutex_lock(&a);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(&b);
	return arg;
}

static void *lock_b_a(void *arg)
{
	pthread_mutex_lock(&b);
	pthread_barrier_wait(&both_hold);
	pthread_mutex_lock(&a);
	return arg;
}

static __attribute__((noipa)) void *die(void *arg)
{
	*(volatile int *)arg = 1;
	return arg;
}

int main(int argc, char **argv)
{
	const char *how = argv[1];

	PROG_CHECK(argc == 2);
	pthread_barrier_init(&both_hold, NULL, 2);
	prog_ready();
	prog_thread(lock_a_b, NULL);
	prog_thread(lock_b_a, NULL);
	settle(2);
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "segv") == 0)
		die((void *)8);
	if (strcmp(how, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(how, "term") == 0)
		raise(SIGTERM);
	if (strcmp(how, "alarm") == 0)
		raise(SIGALRM);
	prog_thread(die, (void *)8);
	prog_sleep_long();
	return 0;
}
