/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O0
 *
 * What it is: a coroutine on the lower part of the main thread's own stack, entered by a call with a gap
 * and left by longjmp(): it keeps the only pointer to what a worker waits for, far below the stack
 * pointer of the main thread, which goes on above.
 */
#include "k_adv.h"
#include <setjmp.h>

static jmp_buf main_side, coroutine_side;
static pthread_t worker;

static __attribute__((noinline)) void run(void)
{
	struct queue *volatile q = queue_new();

	worker = prog_thread(queue_work, q);
	if (!_setjmp(coroutine_side))
		_longjmp(main_side, 1);
	queue_put(q);
	pthread_join(worker, NULL);
	prog_end(true);
}

static __attribute__((noinline)) void enter(void)
{
	char gap[256 << 10];

	__asm__ volatile("" : : "r"(gap) : "memory");
	run();
	__asm__ volatile("" : : "r"(gap) : "memory");
}

int main(void)
{
	if (!_setjmp(main_side))
		enter();
	scrub();
	prog_ready();
	wait_for_stop();
	_longjmp(coroutine_side, 1);
}
