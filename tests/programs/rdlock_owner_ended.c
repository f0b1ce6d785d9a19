/* SPDX-License-Identifier: MIT
 *
 * expect: stuck rwlock-wrlock owner-ended 1
 * look: no
 * object: table
 * creator: stuck start_writer main
 * variants: -O0 -O2
 *
 * What it is: a thread has locked a rwlock for reading and ended; a writer waits for ever, while
 * main lives and could unlock what it never locked. Only the shim knows who the reader was.
 */
#include "prog.h"

static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;

static void *read_and_return(void *arg)
{
	pthread_rwlock_rdlock(&table);
	return arg;
}

static void *write_table(void *arg)
{
	pthread_rwlock_wrlock(&table);
	return arg;
}

static __attribute__((noipa)) void start_writer(void)
{
	prog_thread(write_table, NULL);
}

int main(void)
{
	pthread_join(prog_thread(read_and_return, NULL), NULL);
	start_writer();
	prog_ready();
	prog_sleep_long();
	return 0;
}
