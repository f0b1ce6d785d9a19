/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 50
 * variants: -O0 -O2
 *
 * What it is: a cycle of two mutexes with priority inheritance. The kernel notices and refuses the
 * second wait, and glibc then lets that thread sleep for ever on a word of its own stack, where
 * nothing tells what it waits for. Main sleeps, so nothing is proved.
 */
#include "prog.h"

static pthread_mutex_t left, right;
static pthread_barrier_t both;

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
	pthread_mutexattr_t attr;

	PROG_CHECK(pthread_mutexattr_init(&attr) == 0);
	PROG_CHECK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0);
	PROG_CHECK(pthread_mutex_init(&left, &attr) == 0);
	PROG_CHECK(pthread_mutex_init(&right, &attr) == 0);
	pthread_barrier_init(&both, NULL, 2);
	prog_thread(left_then_right, NULL);
	prog_thread(right_then_left, NULL);
	prog_ready();
	prog_sleep_long();
	return 0;
}
