/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock self 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: cache_lock
 * variants: -O0 -O2
 *
 * What it is: a C11 thread locks a plain mtx_t twice; main joins it with thrd_join.
 */
#include "prog.h"
#include <threads.h>

static mtx_t cache_lock;

static int refresh(void *arg)
{
	(void)arg;
	mtx_lock(&cache_lock);
	mtx_lock(&cache_lock);
	return 0;
}

int main(void)
{
	thrd_t worker;

	PROG_CHECK(mtx_init(&cache_lock, mtx_plain) == thrd_success);
	PROG_CHECK(thrd_create(&worker, refresh, NULL) == thrd_success);
	prog_ready();
	thrd_join(worker, NULL);
	return 0;
}
