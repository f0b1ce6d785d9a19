/* SPDX-License-Identifier: MIT
 *
 * expect: stuck rwlock-wrlock all-asleep 2
 * expect: stuck rwlock-rdlock all-asleep 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * checked: stuck rwlock-wrlock owner-ended 2
 * checked: stuck rwlock-rdlock owner-ended 1
 * checked: stuck join owner-stuck 1
 * object: table_lock
 * variants: -O0 -O2
 *
 * What it is: a reader ended without unlocking. Two writers wait, and a reader behind them, for the
 * lock prefers writers. All else joins.
 */
#include "prog.h"

static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

static void *read_and_return(void *arg)
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
	pthread_t writer, reader;

	pthread_join(prog_thread(read_and_return, NULL), NULL);
	writer = prog_thread(insert, NULL);
	prog_thread(insert, NULL);
	prog_nap_ms(600); /* a writer has to be waiting when the reader comes */
	reader = prog_thread(read_and_return, NULL);
	pthread_detach(writer);
	prog_ready();
	pthread_join(reader, NULL);
	return 0;
}
