/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock owner-ended 1
 * expect: stuck rwlock-rdlock owner-ended 1
 * check: deadlock
 * object: config_lock table_lock
 * variants: -O0 -O2 pidns
 *
 * What it is: main locked a mutex and a rwlock and ended with pthread_exit. Its number is still
 * listed among the threads, as a zombie, but it runs no more code; two threads wait for the locks.
 */
#include "prog.h"

static pthread_mutex_t config_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;

static void *wait_mutex(void *arg)
{
	pthread_mutex_lock(&config_lock);
	return arg;
}

static void *wait_rwlock(void *arg)
{
	pthread_rwlock_rdlock(&table_lock);
	return arg;
}

int main(void)
{
	pthread_mutex_lock(&config_lock);
	pthread_rwlock_wrlock(&table_lock);
	prog_thread(wait_mutex, NULL);
	prog_thread(wait_rwlock, NULL);
	prog_ready();
	pthread_exit(NULL);
}
