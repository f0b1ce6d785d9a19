/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * object: left right
 * variants: -O0 -O2
 *
 * What it is: a cycle of two mutexes beside a live main that has the handles of both threads and
 * may call pthread_cancel. A wait for a mutex is no cancellation point: the cycle stays proved.
 */
#include "prog.h"

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static pthread_t thread[2];

static void *left_then_right(void *arg)
{
	pthread_mutex_lock(&left);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&right);
	return arg;
}

static void *right_then_left(void *arg)
{
	pthread_mutex_lock(&right);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&left);
	return arg;
}

int main(void)
{
	pthread_barrier_init(&both, NULL, 2);
	thread[0] = prog_thread(left_then_right, NULL);
	thread[1] = prog_thread(right_then_left, NULL);
	prog_ready();
	while (!prog_stop())
		prog_nap_ms(100);
	pthread_cancel(thread[0]);
	pthread_cancel(thread[1]);
	return 0;
}
