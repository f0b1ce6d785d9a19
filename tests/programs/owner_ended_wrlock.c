/* SPDX-License-Identifier: MIT
 *
 * expect: stuck rwlock-rdlock owner-ended 2
 * expect: stuck rwlock-wrlock owner-ended 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: table_lock
 * variants: -O0 -O2 pidns
 *
 * What it is: a thread returned while it held a rwlock for writing; two readers and a writer wait.
 */
#include "prog.h"

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void *lock_and_return(void *arg)
{
	pthread_rwlock_wrlock(&table_lock);
	return arg;
}

static void *look_up(void *arg)
{
	pthread_rwlock_rdlock(&table_lock);
	return arg;
}

static void *insert(void *arg)
{
	pthread_rwlock_wrlock(&table_lock);
	return arg;
}

int main(void)
{
	pthread_t reader;

	pthread_join(prog_thread(lock_and_return, NULL), NULL);
	reader = prog_thread(look_up, NULL);
	prog_thread(look_up, NULL);
	prog_thread(insert, NULL);
	prog_ready();
	pthread_join(reader, NULL);
	return 0;
}
