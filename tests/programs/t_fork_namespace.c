/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 50
 * variants: pidns
 * needs: root
 *
 * What it is: a thread forks into a new PID namespace while it holds a mutex. Its copy, main of
 * the child, holds the mutex and will unlock it, but the mutex has the number that the holder had
 * in the old namespace, and in the new one the waiting thread has that very number.
 */
#include "prog.h"
#include <sched.h>
#include <sys/syscall.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *wait_for_lock(void *ready_pipe)
{
	pid_t self = syscall(SYS_gettid);

	PROG_CHECK(write(*(int *)ready_pipe, &self, sizeof(self)) == sizeof(self));
	pthread_mutex_lock(&lock);
	return NULL;
}

static void *lock_and_fork(void *arg)
{
	int end[2];
	pid_t child, waiter, self = syscall(SYS_gettid);

	PROG_CHECK(pipe(end) == 0);
	PROG_CHECK(unshare(CLONE_NEWPID) == 0);
	pthread_mutex_lock(&lock);
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0) {
		prog_thread(wait_for_lock, &end[1]);
		prog_sleep_long();
		pthread_mutex_unlock(&lock);
		_exit(0);
	}
	PROG_CHECK(read(end[0], &waiter, sizeof(waiter)) == sizeof(waiter));
	PROG_CHECK(waiter == self);
	prog_look_at(child);
	prog_ready();
	pause();
	return arg;
}

int main(void)
{
	prog_thread(lock_and_fork, NULL);
	pause();
	return 0;
}
