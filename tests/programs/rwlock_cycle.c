/* SPDX-License-Identifier: MIT
 *
 * expect: stuck rwlock-wrlock cycle 1
 * expect: stuck rwlock-rdlock cycle 1
 * expect: stuck rwlock-rdlock owner-stuck 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: index_lock data_lock
 * variants: -O0 -O2
 *
 * What it is: two threads hold a rwlock each for writing; one wants to write the other's, the
 * other to read. A third thread is a reader behind a writer in the cycle.
 */
#include "prog.h"

static pthread_rwlock_t index_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_rwlock_t data_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t both_hold;

static void *index_then_data(void *arg)
{
	pthread_rwlock_wrlock(&index_lock);
	pthread_barrier_wait(&both_hold);
	pthread_rwlock_wrlock(&data_lock);
	return arg;
}

static void *data_then_index(void *arg)
{
	pthread_rwlock_wrlock(&data_lock);
	pthread_barrier_wait(&both_hold);
	pthread_rwlock_rdlock(&index_lock);
	return arg;
}

static void *read_index(void *arg)
{
	pthread_barrier_wait(&both_hold);
	pthread_rwlock_rdlock(&index_lock);
	return arg;
}

int main(void)
{
	pthread_t reader;

	pthread_barrier_init(&both_hold, NULL, 3);
	prog_thread(index_then_data, NULL);
	prog_thread(data_then_index, NULL);
	reader = prog_thread(read_index, NULL);
	prog_ready();
	pthread_join(reader, NULL);
	return 0;
}
