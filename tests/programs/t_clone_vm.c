/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: another process (clone with CLONE_VM, without CLONE_THREAD) runs in this one's
 * memory and will post the semaphore on which everybody here sleeps. It is in no list of threads.
 * It makes its calls by hand, since it has no thread-local storage of its own.
 */
#include "prog.h"
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static sem_t wakeup;

static long raw_call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static int helper(void *arg)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	(void)arg;
	while (raw_call(SYS_poll, (long)&input, 1, -1) <= 0)
		;
	/* sem_post by hand: the value is in the low half, the waiters in the high one. */
	__atomic_fetch_add((unsigned long *)&wakeup, 2, __ATOMIC_RELEASE);
	raw_call(SYS_futex, (long)&wakeup, FUTEX_WAKE_PRIVATE, 2);
	return 0;
}

static void *sleep_on_sem(void *arg)
{
	while (sem_wait(&wakeup) != 0)
		;
	return arg;
}

int main(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pthread_t thread;
	pid_t child;
	int status;

	sem_init(&wakeup, 0, 0);
	child = clone(helper, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	PROG_CHECK(child > 0);
	thread = prog_thread(sleep_on_sem, NULL);
	prog_ready();
	while (sem_wait(&wakeup) != 0)
		;
	pthread_join(thread, NULL);
	PROG_CHECK(waitpid(child, &status, 0) == child && status == 0);
	prog_end(true);
}
