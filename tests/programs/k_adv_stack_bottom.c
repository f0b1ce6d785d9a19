/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: a program that gives its threads aligned stacks and keeps a record of each thread at the
 * bottom, where it is found by rounding the stack pointer down: no pointer to it exists.
 */
#include "k_adv.h"
#include <stdint.h>

enum { STACK = 256 << 10 };

struct record {
	struct queue *queue;
};

static struct record *my_record(void)
{
	return (struct record *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(STACK - 1));
}

static __attribute__((noinline)) void make(void)
{
	my_record()->queue = queue_new();
	prog_thread(queue_work, my_record()->queue);
}

static void *run(void *arg)
{
	(void)arg;
	make();
	scrub();
	prog_ready();
	wait_for_stop();
	queue_put(my_record()->queue);
	return NULL;
}

int main(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *stack;

	PROG_CHECK(!posix_memalign(&stack, STACK, STACK));
	pthread_attr_init(&attr);
	PROG_CHECK(!pthread_attr_setstack(&attr, stack, STACK));
	PROG_CHECK(!pthread_create(&thread, &attr, run, NULL));
	pthread_attr_destroy(&attr);
	stack = NULL;
	pthread_join(thread, NULL);
	prog_end(true);
}
