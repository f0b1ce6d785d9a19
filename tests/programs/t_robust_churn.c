/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: quit
 * settled: no
 * variants: -O2
 *
 * What it is: threads that lock a robust mutex and end without unlocking, for ever, while others
 * wait for it: each waiter is woken by the end of an owner and repairs the mutex. One robust mutex
 * with priority inheritance does the same.
 */
#include "prog.h"
#include <stdatomic.h>

static pthread_mutex_t plain, inheriting;
static atomic_bool stop;
static atomic_long repaired;

static void make(pthread_mutex_t *made, int protocol)
{
	pthread_mutexattr_t attr;

	PROG_CHECK(pthread_mutexattr_init(&attr) == 0);
	PROG_CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	PROG_CHECK(pthread_mutexattr_setprotocol(&attr, protocol) == 0);
	PROG_CHECK(pthread_mutex_init(made, &attr) == 0);
}

static void lock_and_repair(pthread_mutex_t *mutex)
{
	int rc = pthread_mutex_lock(mutex);

	if (rc == EOWNERDEAD) {
		atomic_fetch_add(&repaired, 1);
		rc = pthread_mutex_consistent(mutex);
	}
	PROG_CHECK(rc == 0);
}

static void *lock_and_end(void *arg)
{
	lock_and_repair(arg);
	usleep(300);
	return arg;
}

static void *keep_dying(void *arg)
{
	while (!atomic_load(&stop))
		pthread_join(prog_thread(lock_and_end, arg), NULL);
	return arg;
}

static void *keep_waiting(void *arg)
{
	while (!atomic_load(&stop)) {
		lock_and_repair(arg);
		pthread_mutex_unlock(arg);
		usleep(100);
	}
	return arg;
}

int main(void)
{
	pthread_t thread[6];

	make(&plain, PTHREAD_PRIO_NONE);
	make(&inheriting, PTHREAD_PRIO_INHERIT);
	for (int i = 0; i < 6; i++)
		thread[i] = prog_thread(i < 4 ? keep_dying : keep_waiting,
					i % 2 ? &plain : &inheriting);
	prog_ready();
	while (!prog_stop())
		usleep(5000);
	atomic_store(&stop, true);
	for (int i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
	prog_end(atomic_load(&repaired) > 0);
}
