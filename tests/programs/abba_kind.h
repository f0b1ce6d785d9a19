/* SPDX-License-Identifier: MIT
 *
 * The body of the abba_*.c programs that differ in the kind of mutex only: MUTEX_KIND is the
 * type, MUTEX_ROBUST the robustness. Both mutexes live in static data; main joins the first
 * thread.
 */
#include "prog.h"

#ifndef MUTEX_KIND
#define MUTEX_KIND PTHREAD_MUTEX_NORMAL
#endif
#ifndef MUTEX_ROBUST
#define MUTEX_ROBUST PTHREAD_MUTEX_STALLED
#endif

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
	pthread_t first;

	PROG_CHECK(pthread_mutexattr_init(&attr) == 0);
	PROG_CHECK(pthread_mutexattr_settype(&attr, MUTEX_KIND) == 0);
	PROG_CHECK(pthread_mutexattr_setrobust(&attr, MUTEX_ROBUST) == 0);
	PROG_CHECK(pthread_mutex_init(&left, &attr) == 0);
	PROG_CHECK(pthread_mutex_init(&right, &attr) == 0);
	pthread_barrier_init(&both, NULL, 2);
	first = prog_thread(left_then_right, NULL);
	prog_thread(right_then_left, NULL);
	prog_ready();
	pthread_join(first, NULL);
	return 0;
}
