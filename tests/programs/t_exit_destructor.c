/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * variants: -O0 -O2
 *
 * What it is: the owner of a mutex has left its start routine but is still in the destructor of
 * thread-specific data, where it will unlock; a thread that waits for the mutex and one that joins
 * the owner are not lost.
 */
#include "prog.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static pthread_barrier_t in_destructor;

static void unlock_slowly(void *mutex)
{
	pthread_barrier_wait(&in_destructor);
	prog_sleep_long();
	pthread_mutex_unlock(mutex);
}

static void *lock_and_return(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_setspecific(key, &lock);
	return arg;
}

static void *wait_for_lock(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

int main(void)
{
	pthread_t owner;

	pthread_barrier_init(&in_destructor, NULL, 2);
	PROG_CHECK(pthread_key_create(&key, unlock_slowly) == 0);
	owner = prog_thread(lock_and_return, NULL);
	pthread_barrier_wait(&in_destructor);
	prog_thread(wait_for_lock, NULL);
	prog_ready();
	pthread_join(owner, NULL);
	return 0;
}
