/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * variants: -O0 -O2 static static-pie
 *
 * What it is: a thread waits in pthread_mutex_lock, and in a handler that has interrupted this it
 * waits for a lock of the program's own making, a word that is 2 as well. What follows that word
 * looks like the rest of a mutex whose owner is gone. Main is live.
 */
#include "prog.h"
#include <signal.h>
#include <sys/syscall.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int word, count, owner, users, kind;
} own = { 2, 0, 1, 1, 0 };
static int inside;

static void on_signal(int signal)
{
	register long no_timeout __asm__("r10") = 0;

	(void)signal;
	__atomic_store_n(&inside, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&own.word, __ATOMIC_ACQUIRE) == 2) {
		long result;

		__asm__ volatile("syscall"
				 : "=a"(result)
				 : "a"((long)SYS_futex), "D"(&own.word), "S"(128L), "d"(2L),
				   "r"(no_timeout)
				 : "rcx", "r11", "memory");
	}
}

static void *wait_for_lock(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;

	PROG_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	pthread_mutex_lock(&lock);
	thread = prog_thread(wait_for_lock, NULL);
	prog_nap_ms(100); /* until it waits */
	pthread_kill(thread, SIGUSR1);
	while (!__atomic_load_n(&inside, __ATOMIC_ACQUIRE))
		prog_nap_ms(1);
	prog_ready();
	prog_sleep_long();
	return 0;
}
