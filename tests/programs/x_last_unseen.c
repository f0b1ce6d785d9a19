/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock self 1
 * check: ends
 * status: 3
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: the last thread that the program has made itself ends, but a timer's goes on: the C
 * library makes that, past every interposer. It starts a thread that hangs, and ends the process
 * later.
 */
#include "prog.h"
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *hang(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_lock(&lock);
	return arg;
}

static void *work(void *arg)
{
	return arg;
}

static void tick(union sigval value)
{
	(void)value;
	prog_thread(hang, NULL);
	prog_nap_ms(100);
	exit(3);
}

int main(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = tick };
	struct itimerspec soon = { .it_value = { 0, 300000000 } };
	timer_t timer;

	PROG_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	PROG_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
	pthread_join(prog_thread(work, NULL), NULL);
	prog_ready();
	pthread_exit(NULL);
}
