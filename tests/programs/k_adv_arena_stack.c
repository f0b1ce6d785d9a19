/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: memory of the program's own in which things are found by offsets from its beginning,
 * to which alone a pointer exists; a thread has its stack in the midst of it. What a worker waits
 * for lies behind that stack.
 */
#include "k_adv.h"
#include <sys/mman.h>

enum {
	PAGE = 4096,
	ARENA = 1 << 20,
	STACK_AT = 256 << 10,
	STACK = 256 << 10,
	QUEUE_AT = 768 << 10
};

static char *arena;
static volatile unsigned queue_at;

static __attribute__((noinline)) pthread_t start(void)
{
	pthread_attr_t attr;
	pthread_t worker;

	arena = mmap(NULL, ARENA + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	PROG_CHECK(arena != MAP_FAILED);
	/* Nobody else's memory beside it. */
	PROG_CHECK(!munmap(arena, PAGE) && !munmap(arena + PAGE + ARENA, PAGE));
	arena += PAGE;
	queue_at = QUEUE_AT;
	pthread_attr_init(&attr);
	PROG_CHECK(!pthread_attr_setstack(&attr, arena + STACK_AT, STACK));
	PROG_CHECK(!pthread_create(&worker, &attr, queue_work,
				   queue_init((struct queue *)(arena + queue_at))));
	pthread_attr_destroy(&attr);
	return worker;
}

int main(void)
{
	pthread_t worker = start();

	scrub();
	prog_ready();
	wait_for_stop();
	queue_put((struct queue *)(arena + queue_at));
	pthread_join(worker, NULL);
	prog_end(true);
}
