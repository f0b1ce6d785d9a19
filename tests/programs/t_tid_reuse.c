/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 50
 * variants: pidns
 * needs: root
 *
 * What it is: the owner of a mutex has ended and the kernel has given its number to a new thread,
 * which sleeps. From outside it may well be the owner: nothing can be said. In a PID namespace of
 * its own the program may choose the next number.
 */
#include "prog.h"
#include <fcntl.h>
#include <sys/syscall.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner;

static void *lock_and_return(void *arg)
{
	owner = syscall(SYS_gettid);
	pthread_mutex_lock(&lock);
	return arg;
}

static void *wait_for_lock(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

static void *take_number(void *arg)
{
	*(pid_t *)arg = syscall(SYS_gettid);
	prog_sleep_long();
	return arg;
}

static void next_number(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);

	PROG_CHECK(fd >= 0 && dprintf(fd, "%d", (int)pid - 1) > 0);
	close(fd);
}

int main(void)
{
	pid_t given = 0;
	pthread_t waiter;

	waiter = prog_thread(lock_and_return, NULL);
	pthread_join(waiter, NULL);
	next_number(owner);
	prog_thread(take_number, &given);
	while (__atomic_load_n(&given, __ATOMIC_ACQUIRE) == 0)
		usleep(1000);
	PROG_CHECK(given == owner);
	waiter = prog_thread(wait_for_lock, NULL);
	prog_ready();
	pthread_join(waiter, NULL);
	return 0;
}
