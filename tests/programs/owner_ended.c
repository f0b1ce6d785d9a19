/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock owner-ended 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: log_lock
 * variants: -O0 -O2 pidns
 *
 * What it is: a thread returned while it held a mutex; another waits for that mutex.
 */
#include "prog.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void *lock_and_return(void *arg)
{
	pthread_mutex_lock(&log_lock);
	return arg;
}

static void *write_log(void *arg)
{
	pthread_mutex_lock(&log_lock);
	pthread_mutex_unlock(&log_lock);
	return arg;
}

int main(void)
{
	pthread_t writer;

	pthread_join(prog_thread(lock_and_return, NULL), NULL);
	writer = prog_thread(write_log, NULL);
	prog_ready();
	pthread_join(writer, NULL);
	return 0;
}
