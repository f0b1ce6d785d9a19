/* SPDX-License-Identifier: MIT
 *
 * expect: alive cond-wait - 1
 * expect: unjoined - - 1
 * check: ends
 * creator: alive start_waiter main
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: C11 threads: one waits, one has finished, one was joined, one was detached.
 */
#include "settle.h"
#include <threads.h>

static mtx_t lock;
static cnd_t changed;

static int wait_for_change(void *arg)
{
	mtx_lock(&lock);
	for (;;)
		cnd_wait(&changed, &lock);
	return arg != NULL;
}

static int finish(void *arg)
{
	return arg != NULL;
}

static __attribute__((noipa)) thrd_t start_waiter(void)
{
	thrd_t thread;

	PROG_CHECK(thrd_create(&thread, wait_for_change, NULL) == thrd_success);
	return thread;
}

int main(void)
{
	thrd_t thread;

	prog_ready();
	PROG_CHECK(mtx_init(&lock, mtx_plain) == thrd_success);
	PROG_CHECK(cnd_init(&changed) == thrd_success);
	start_waiter();
	PROG_CHECK(thrd_create(&thread, finish, NULL) == thrd_success);
	PROG_CHECK(thrd_create(&thread, finish, NULL) == thrd_success);
	PROG_CHECK(thrd_join(thread, NULL) == thrd_success);
	PROG_CHECK(thrd_create(&thread, finish, NULL) == thrd_success);
	PROG_CHECK(thrd_detach(thread) == thrd_success);
	settle(1);
	return 0;
}
