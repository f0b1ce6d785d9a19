/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 100
 * args: sem | restart | futex | cond | other_thread | altstack
 * ends: signal USR1
 * variants: -O0 -O2 pidns
 *
 * What it is: everybody is asleep, but a handler is installed that would wake main, by sem_post, a
 * futex wake or a condition, with and without SA_RESTART or a stack of its own. The signal comes at the end and the
 * program ends well. "other_thread": only a worker leaves the signal unblocked.
 */
#include "prog.h"
#include <linux/futex.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>

static sem_t wakeup, never;
static int word;
static const char *how;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void on_signal(int signal)
{
	int saved = errno;

	(void)signal;
	__atomic_store_n(&word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	sem_post(&wakeup);
	pthread_cond_signal(&changed);
	errno = saved;
}

static void *sleep_on_sem(void *arg)
{
	while (sem_wait(&never) != 0)
		;
	return arg;
}

static void block(int how_to)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	PROG_CHECK(pthread_sigmask(how_to, &set, NULL) == 0);
}

static void wait_for_handler(void)
{
	if (strcmp(how, "futex") == 0) {
		while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0)
			syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	} else if (strcmp(how, "cond") == 0) {
		pthread_mutex_lock(&lock);
		while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0)
			pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
	} else {
		while (sem_wait(&wakeup) != 0)
			;
	}
}

int main(int argc, char **argv)
{
	static char stack[65536];
	struct sigaction action = { .sa_handler = on_signal };
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };

	PROG_CHECK(argc == 2);
	how = argv[1];
	sem_init(&wakeup, 0, 0);
	sem_init(&never, 0, 0);
	if (strcmp(how, "restart") == 0)
		action.sa_flags = SA_RESTART;
	if (strcmp(how, "altstack") == 0) {
		PROG_CHECK(sigaltstack(&alternate, NULL) == 0);
		action.sa_flags = SA_RESTART | SA_ONSTACK;
	}
	PROG_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	prog_thread(sleep_on_sem, NULL);
	if (strcmp(how, "other_thread") == 0)
		block(SIG_BLOCK);
	prog_thread(sleep_on_sem, NULL);
	prog_ready();
	wait_for_handler();
	prog_end(true);
}
