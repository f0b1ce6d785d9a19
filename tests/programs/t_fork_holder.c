/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: mutex | rwlock
 * variants: -O0 -O2 pidns
 *
 * What it is: a thread forks while it holds a lock, so its copy, main of the child, holds it there
 * and will unlock it; but the lock still names the parent's thread as its owner, which the child
 * does not have. A thread that the child has started waits for the lock.
 */
#include "prog.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static bool with_mutex;

static void *wait_for_lock(void *arg)
{
	if (with_mutex)
		pthread_mutex_lock(&mutex);
	else
		pthread_rwlock_rdlock(&rwlock);
	return arg;
}

static void child_work(void)
{
	prog_thread(wait_for_lock, NULL);
	prog_ready();
	prog_sleep_long();
	if (with_mutex)
		pthread_mutex_unlock(&mutex);
	else
		pthread_rwlock_unlock(&rwlock);
	_exit(0);
}

static void *lock_and_fork(void *arg)
{
	pid_t child;

	if (with_mutex)
		pthread_mutex_lock(&mutex);
	else
		pthread_rwlock_wrlock(&rwlock);
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0) {
		prog_look_at(getpid());
		child_work();
	}
	pause();
	return arg;
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	with_mutex = strcmp(argv[1], "mutex") == 0;
	prog_thread(lock_and_fork, NULL);
	pause();
	return 0;
}
