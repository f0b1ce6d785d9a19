/* SPDX-License-Identifier: MIT
 *
 * expect: stuck rwlock-wrlock owner-ended 1
 * look: no
 * args: try | timed | clock | twice | two | detached
 * variants: -O2
 *
 * What it is: as rdlock_owner_ended.c, with the lock taken in other ways: by a try, with a
 * deadline, twice by the same thread, by two threads, by one that was detached.
 */
#include "settle.h"

static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static const char *how;

static void *read_and_return(void *arg)
{
	struct timespec real = prog_far(CLOCK_REALTIME), monotonic = prog_far(CLOCK_MONOTONIC);

	if (strcmp(how, "try") == 0)
		PROG_CHECK(pthread_rwlock_tryrdlock(&table) == 0);
	else if (strcmp(how, "timed") == 0)
		PROG_CHECK(pthread_rwlock_timedrdlock(&table, &real) == 0);
	else if (strcmp(how, "clock") == 0)
		PROG_CHECK(pthread_rwlock_clockrdlock(&table, CLOCK_MONOTONIC, &monotonic) == 0);
	else
		PROG_CHECK(pthread_rwlock_rdlock(&table) == 0);
	if (strcmp(how, "twice") == 0)
		PROG_CHECK(pthread_rwlock_rdlock(&table) == 0);
	return arg;
}

static void *write_table(void *arg)
{
	pthread_rwlock_wrlock(&table);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	PROG_CHECK(argc == 2);
	how = argv[1];
	if (strcmp(how, "detached") == 0) {
		thread = prog_thread(read_and_return, NULL);
		pthread_detach(thread);
		settle(0);
	} else {
		pthread_join(prog_thread(read_and_return, NULL), NULL);
	}
	if (strcmp(how, "two") == 0)
		pthread_join(prog_thread(read_and_return, NULL), NULL);
	prog_thread(write_table, NULL);
	prog_ready();
	prog_sleep_long();
	return 0;
}
