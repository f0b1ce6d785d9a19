/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: a thread has its stack in an array of a function of the main thread, which keeps the
 * only pointer to what a worker waits for further up on its own stack.
 */
#include "k_adv.h"

enum { STACK = 64 << 10 };

struct frame {
	char stack[STACK] __attribute__((aligned(4096)));
	struct queue *volatile queue;
};

static void *sleep_long(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static __attribute__((noinline)) void start(struct frame *f, pthread_t *worker)
{
	pthread_attr_t attr;
	pthread_t sleeper;

	pthread_attr_init(&attr);
	PROG_CHECK(!pthread_attr_setstack(&attr, f->stack, STACK));
	PROG_CHECK(!pthread_create(&sleeper, &attr, sleep_long, NULL));
	pthread_attr_destroy(&attr);
	f->queue = queue_new();
	*worker = prog_thread(queue_work, f->queue);
}

int main(void)
{
	struct frame f;
	pthread_t worker;

	start(&f, &worker);
	scrub();
	prog_ready();
	wait_for_stop();
	queue_put(f.queue);
	pthread_join(worker, NULL);
	prog_end(true);
}
