/* SPDX-License-Identifier: MIT
 *
 * A program of C11's threads only: the C library does not go through pthread_* for these.
 */
#include <threads.h>
#include <unistd.h>

#include "trace.h"

static mtx_t mutex;
static cnd_t cond;
static int turn;

static int worker(void *unused)
{
	(void)unused;
	mtx_lock(&mutex);
	turn = 1;
	cnd_signal(&cond);
	mtx_unlock(&mutex);
	return 7;
}

int main(void)
{
	thrd_t thread;
	int value;

	trace_reset();
	mtx_init(&mutex, mtx_plain);
	cnd_init(&cond);
	mtx_lock(&mutex);
	CHECK(thrd_create(&thread, worker, NULL) == thrd_success);
	while (!turn)
		CHECK_RECORDED(COND_WAIT, &cond, CHECK(cnd_wait(&cond, &mutex) == thrd_success));
	CHECK_TRACE(trace()->begun == 1 && trace()->last.second == (uintptr_t)&mutex);
	mtx_unlock(&mutex);
	CHECK_RECORDED(JOIN, thread, CHECK(thrd_join(thread, &value) == thrd_success));
	CHECK(value == 7);
	CHECK_TRACE(trace()->joins == 1);
	puts("ok");
	return 0;
}
