/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 100
 * args: prefer_reader | prefer_writer
 * variants: -O0 -O2 static
 *
 * What it is: a rwlock is held for reading by one thread that sleeps, and was by one that has
 * ended and by a writer that has unlocked; two writers and, behind them, readers wait.
 */
#include "prog.h"

static pthread_rwlock_t table;
static pthread_barrier_t read_locked;

static void *read_and_return(void *arg)
{
	pthread_rwlock_rdlock(&table);
	return arg;
}

static void *write_and_unlock(void *arg)
{
	pthread_rwlock_wrlock(&table);
	pthread_rwlock_unlock(&table);
	return arg;
}

static void *read_and_sleep(void *arg)
{
	pthread_rwlock_rdlock(&table);
	pthread_barrier_wait(&read_locked);
	prog_sleep_long();
	return arg;
}

int main(int argc, char **argv)
{
	pthread_rwlockattr_t attr;
	pthread_t writer;
	bool prefer_writer;

	PROG_CHECK(argc == 2);
	prefer_writer = strcmp(argv[1], "prefer_writer") == 0;
	pthread_rwlockattr_init(&attr);
	PROG_CHECK(pthread_rwlockattr_setkind_np(
			   &attr, prefer_writer ? PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP
						: PTHREAD_RWLOCK_PREFER_READER_NP) == 0);
	PROG_CHECK(pthread_rwlock_init(&table, &attr) == 0);
	pthread_barrier_init(&read_locked, NULL, 2);
	pthread_join(prog_thread(write_and_unlock, NULL), NULL);
	pthread_join(prog_thread(read_and_return, NULL), NULL);
	prog_thread(read_and_sleep, NULL);
	pthread_barrier_wait(&read_locked);
	writer = prog_thread(write_and_unlock, NULL);
	prog_thread(write_and_unlock, NULL);
	prog_nap_ms(100);
	prog_thread(read_and_return, NULL);
	prog_thread(read_and_return, NULL);
	prog_ready();
	pthread_join(writer, NULL);
	return 0;
}
