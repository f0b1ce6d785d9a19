/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 4
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: fork_of fork_of+0x28 fork_of+0x50 fork_of+0x78
 * variants: -O0 -O2
 *
 * What it is: four philosophers, each with the left fork in hand, each waiting for the right one.
 */
#include "prog.h"

enum { SEATS = 4 };

static pthread_mutex_t fork_of[SEATS];
static pthread_barrier_t all_hold_left;

static void *dine(void *arg)
{
	long seat = (long)arg;

	pthread_mutex_lock(&fork_of[seat]);
	pthread_barrier_wait(&all_hold_left);
	pthread_mutex_lock(&fork_of[(seat + 1) % SEATS]);
	return arg;
}

int main(void)
{
	pthread_t guest[SEATS];

	pthread_barrier_init(&all_hold_left, NULL, SEATS);
	for (long i = 0; i < SEATS; i++)
		pthread_mutex_init(&fork_of[i], NULL);
	for (long i = 0; i < SEATS; i++)
		guest[i] = prog_thread(dine, (void *)i);
	prog_ready();
	for (long i = 0; i < SEATS; i++)
		pthread_join(guest[i], NULL);
	return 0;
}
