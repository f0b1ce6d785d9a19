/* SPDX-License-Identifier: MIT
 *
 * expect: stuck cond-wait all-asleep 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: changed
 * variants: -O0 -O2
 *
 * What it is: the same by the C11 names, with one worker.
 */
#include "prog.h"
#include <threads.h>

static mtx_t lock;
static cnd_t changed;

static int wait_for_change(void *arg)
{
	(void)arg;
	mtx_lock(&lock);
	for (;;)
		cnd_wait(&changed, &lock);
	return 0;
}

int main(void)
{
	thrd_t worker;

	PROG_CHECK(mtx_init(&lock, mtx_plain) == thrd_success);
	PROG_CHECK(cnd_init(&changed) == thrd_success);
	PROG_CHECK(thrd_create(&worker, wait_for_change, NULL) == thrd_success);
	prog_ready();
	thrd_join(worker, NULL);
	return 0;
}
