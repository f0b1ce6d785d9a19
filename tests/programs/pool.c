/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: pool+0x28 pool+0x78
 * variants: -O0 -O2
 *
 * What it is: the two mutexes of a cycle lie inside the elements of a global array, so their names
 * are the array's with an offset.
 */
#include "prog.h"

struct slot {
	char name[0x28];
	pthread_mutex_t lock;
};

struct slot pool[4];
static pthread_barrier_t both;

_Static_assert(sizeof(struct slot) == 0x50, "the offsets that are expected above");

static void *move(void *arg)
{
	long from = (long)arg;

	pthread_mutex_lock(&pool[from].lock);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&pool[1 - from].lock);
	return arg;
}

int main(void)
{
	pthread_t first;

	pthread_barrier_init(&both, NULL, 2);
	for (int i = 0; i < 4; i++)
		pthread_mutex_init(&pool[i].lock, NULL);
	first = prog_thread(move, (void *)0L);
	prog_thread(move, (void *)1L);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
