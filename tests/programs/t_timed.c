/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * variants: -O0 -O2
 *
 * What it is: every wait of pthreads, C11 and semaphores that has a deadline, all far away, on
 * locks whose owner has ended, so that without the deadline each would be stuck. Plain waiters
 * hang on those who will time out: a mutex and a join of theirs. Main is in a timed join.
 */
#include "prog.h"
#include <semaphore.h>
#include <threads.h>

static pthread_mutex_t dead_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t dead_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t cond_mutex[3] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
					 PTHREAD_MUTEX_INITIALIZER };
static pthread_mutex_t held_by_timed = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static mtx_t dead_mtx, cnd_mtx;
static cnd_t cnd;
static pthread_t timed_thread;
static pthread_barrier_t timed_holds;

static void *lock_all_and_return(void *arg)
{
	pthread_mutex_lock(&dead_mutex);
	pthread_rwlock_wrlock(&dead_rwlock);
	mtx_lock(&dead_mtx);
	return arg;
}

static void *mutex_timedlock(void *arg)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	pthread_mutex_lock(&held_by_timed);
	pthread_barrier_wait(&timed_holds);
	pthread_mutex_timedlock(&dead_mutex, &far);
	return arg;
}

static void *mutex_clocklock(void *arg)
{
	struct timespec far = prog_far(CLOCK_MONOTONIC);

	pthread_mutex_clocklock(&dead_mutex, CLOCK_MONOTONIC, &far);
	return arg;
}

static void *cond_timedwait(void *arg)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	pthread_mutex_lock(&cond_mutex[0]);
	pthread_cond_timedwait(&cond, &cond_mutex[0], &far);
	return arg;
}

static void *cond_clockwait(void *arg)
{
	static pthread_cond_t other = PTHREAD_COND_INITIALIZER;
	struct timespec far = prog_far(CLOCK_MONOTONIC);

	pthread_mutex_lock(&cond_mutex[1]);
	pthread_cond_clockwait(&other, &cond_mutex[1], CLOCK_MONOTONIC, &far);
	return arg;
}

static void *semaphore_timedwait(void *arg)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	sem_timedwait(&sem, &far);
	return arg;
}

static void *semaphore_clockwait(void *arg)
{
	struct timespec far = prog_far(CLOCK_MONOTONIC);

	sem_clockwait(&sem, CLOCK_MONOTONIC, &far);
	return arg;
}

static void *rwlock_timedrdlock(void *arg)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	pthread_rwlock_timedrdlock(&dead_rwlock, &far);
	return arg;
}

static void *rwlock_clockrdlock(void *arg)
{
	struct timespec far = prog_far(CLOCK_MONOTONIC);

	pthread_rwlock_clockrdlock(&dead_rwlock, CLOCK_MONOTONIC, &far);
	return arg;
}

static void *rwlock_timedwrlock(void *arg)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	pthread_rwlock_timedwrlock(&dead_rwlock, &far);
	return arg;
}

static void *rwlock_clockwrlock(void *arg)
{
	struct timespec far = prog_far(CLOCK_MONOTONIC);

	pthread_rwlock_clockwrlock(&dead_rwlock, CLOCK_MONOTONIC, &far);
	return arg;
}

static void *c11_timedlock(void *arg)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	mtx_timedlock(&dead_mtx, &far);
	return arg;
}

static void *c11_timedwait(void *arg)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	mtx_lock(&cnd_mtx);
	cnd_timedwait(&cnd, &cnd_mtx, &far);
	return arg;
}

static void *wait_for_timed_owner(void *arg)
{
	pthread_barrier_wait(&timed_holds);
	pthread_mutex_lock(&held_by_timed);
	return arg;
}

static void *join_timed(void *arg)
{
	pthread_join(timed_thread, NULL);
	return arg;
}

int main(void)
{
	static void *(*const wait[])(void *) = {
		mutex_clocklock,     cond_timedwait,	 cond_clockwait,     semaphore_timedwait,
		semaphore_clockwait, rwlock_timedrdlock, rwlock_clockrdlock, rwlock_timedwrlock,
		rwlock_clockwrlock,  c11_timedlock,	 c11_timedwait,	     wait_for_timed_owner,
	};
	struct timespec far = prog_far(CLOCK_REALTIME);
	pthread_t joiner;

	PROG_CHECK(mtx_init(&dead_mtx, mtx_timed) == thrd_success);
	PROG_CHECK(mtx_init(&cnd_mtx, mtx_plain) == thrd_success);
	PROG_CHECK(cnd_init(&cnd) == thrd_success);
	sem_init(&sem, 0, 0);
	pthread_barrier_init(&timed_holds, NULL, 2);
	pthread_join(prog_thread(lock_all_and_return, NULL), NULL);
	timed_thread = prog_thread(mutex_timedlock, NULL);
	for (size_t i = 0; i < sizeof(wait) / sizeof(*wait); i++)
		prog_thread(wait[i], NULL);
	joiner = prog_thread(join_timed, NULL);
	prog_ready();
	pthread_timedjoin_np(joiner, NULL, &far);
	return 0;
}
