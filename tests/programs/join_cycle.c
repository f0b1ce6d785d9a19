/* SPDX-License-Identifier: MIT
 *
 * expect: stuck join cycle 3
 * variants: -O0 -O2 pidns
 *
 * What it is: three threads join each other in a ring, which glibc does not notice (it returns
 * EDEADLK for a ring of two only). Main, with nobody left to join, waits for a signal and is live.
 */
#include "prog.h"

enum { RING = 3 };

static pthread_t thread[RING];
static pthread_barrier_t all_started;

static void *join_next(void *arg)
{
	pthread_barrier_wait(&all_started);
	PROG_CHECK(pthread_join(thread[((long)arg + 1) % RING], NULL) == 0);
	return arg;
}

int main(void)
{
	pthread_barrier_init(&all_started, NULL, RING + 1);
	for (long i = 0; i < RING; i++)
		thread[i] = prog_thread(join_next, (void *)i);
	pthread_barrier_wait(&all_started);
	prog_ready();
	pause();
	return 0;
}
