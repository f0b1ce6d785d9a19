/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * variants: -O0 -O2
 *
 * What it is: one mutex of the cycle is in a heap block, the other on main's stack, and main
 * joins. Where a mutex lies does not matter to its owner.
 */
#include "prog.h"

struct account {
	pthread_mutex_t *mine, *other;
	pthread_barrier_t *both;
};

static void *transfer(void *arg)
{
	struct account *account = arg;

	pthread_mutex_lock(account->mine);
	pthread_barrier_wait(account->both);
	pthread_mutex_lock(account->other);
	return arg;
}

int main(void)
{
	pthread_mutex_t on_stack = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_t *on_heap = malloc(sizeof(*on_heap));
	pthread_barrier_t both;
	struct account there = { &on_stack, on_heap, &both }, back = { on_heap, &on_stack, &both };
	pthread_t first;

	PROG_CHECK(on_heap != NULL && pthread_mutex_init(on_heap, NULL) == 0);
	pthread_barrier_init(&both, NULL, 2);
	first = prog_thread(transfer, &there);
	prog_thread(transfer, &back);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
