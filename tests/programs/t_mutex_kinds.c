/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * variants: -O0 -O2 pidns static
 *
 * What it is: one mutex of each kind (normal, recursive, errorcheck, adaptive, robust, priority
 * inheritance, process-shared, C11), each held by a thread that sleeps, in the recursive case
 * twice, with two waiters on each.
 */
#include "prog.h"
#include <threads.h>

struct kind {
	int type, robust, protocol, shared;
};

static const struct kind kinds[] = {
	{ .type = PTHREAD_MUTEX_NORMAL },
	{ .type = PTHREAD_MUTEX_RECURSIVE },
	{ .type = PTHREAD_MUTEX_ERRORCHECK },
	{ .type = PTHREAD_MUTEX_ADAPTIVE_NP },
	{ .robust = PTHREAD_MUTEX_ROBUST },
	{ .protocol = PTHREAD_PRIO_INHERIT },
	{ .type = PTHREAD_MUTEX_RECURSIVE, .protocol = PTHREAD_PRIO_INHERIT },
	{ .robust = PTHREAD_MUTEX_ROBUST, .protocol = PTHREAD_PRIO_INHERIT },
	{ .shared = PTHREAD_PROCESS_SHARED },
	{ .shared = PTHREAD_PROCESS_SHARED, .robust = PTHREAD_MUTEX_ROBUST },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static pthread_mutex_t mutex[KINDS];
static mtx_t c11_mutex;
static pthread_barrier_t all_held;

static void make(pthread_mutex_t *made, const struct kind *kind)
{
	pthread_mutexattr_t attr;

	PROG_CHECK(pthread_mutexattr_init(&attr) == 0);
	PROG_CHECK(pthread_mutexattr_settype(&attr, kind->type) == 0);
	PROG_CHECK(pthread_mutexattr_setrobust(&attr, kind->robust) == 0);
	PROG_CHECK(pthread_mutexattr_setprotocol(&attr, kind->protocol) == 0);
	PROG_CHECK(pthread_mutexattr_setpshared(&attr, kind->shared) == 0);
	PROG_CHECK(pthread_mutex_init(made, &attr) == 0);
}

static void *hold_and_sleep(void *arg)
{
	pthread_mutex_t *held = arg;

	PROG_CHECK(pthread_mutex_lock(held) == 0);
	if (kinds[held - mutex].type == PTHREAD_MUTEX_RECURSIVE)
		PROG_CHECK(pthread_mutex_lock(held) == 0);
	pthread_barrier_wait(&all_held);
	prog_sleep_long();
	return arg;
}

static void *wait_for(void *arg)
{
	pthread_mutex_lock(arg);
	return arg;
}

static int c11_hold_and_sleep(void *arg)
{
	mtx_lock(arg);
	mtx_lock(arg);
	pthread_barrier_wait(&all_held);
	prog_sleep_long();
	return 0;
}

static int c11_wait_for(void *arg)
{
	return mtx_lock(arg);
}

int main(void)
{
	pthread_t waiter = 0;
	thrd_t c11;

	pthread_barrier_init(&all_held, NULL, KINDS + 2);
	PROG_CHECK(mtx_init(&c11_mutex, mtx_plain | mtx_recursive) == thrd_success);
	for (int i = 0; i < KINDS; i++) {
		make(&mutex[i], &kinds[i]);
		prog_thread(hold_and_sleep, &mutex[i]);
	}
	PROG_CHECK(thrd_create(&c11, c11_hold_and_sleep, &c11_mutex) == thrd_success);
	pthread_barrier_wait(&all_held);
	for (int i = 0; i < 2 * KINDS; i++)
		waiter = prog_thread(wait_for, &mutex[i / 2]);
	PROG_CHECK(thrd_create(&c11, c11_wait_for, &c11_mutex) == thrd_success);
	prog_ready();
	pthread_join(waiter, NULL);
	return 0;
}
