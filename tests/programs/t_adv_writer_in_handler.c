/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: a reader has ended without an unlock, and readers let writers go first. The writer
 * has a deadline, but is in a signal handler: nothing shows that it waits. When the handler returns
 * it gives up, and the reader behind it goes on.
 */
#include "prog.h"
#include <errno.h>
#include <signal.h>

static pthread_rwlock_t table;
static pthread_t writer;
static int in_handler, quit, gave_up;

static void stay(int number)
{
	(void)number;
	__atomic_store_n(&in_handler, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&quit, __ATOMIC_ACQUIRE))
		prog_nap_ms(50);
}

static void allow(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(how, &set, NULL);
}

static void *read_and_return(void *arg)
{
	pthread_rwlock_rdlock(&table);
	return arg;
}

static void *write_soon(void *arg)
{
	struct timespec soon;

	allow(SIG_UNBLOCK);
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec++;
	gave_up = pthread_rwlock_timedwrlock(&table, &soon) == ETIMEDOUT;
	return arg;
}

static void *read_behind(void *arg)
{
	pthread_rwlock_rdlock(&table);
	return arg;
}

static void *quit_later(void *arg)
{
	while (!prog_stop())
		prog_nap_ms(20);
	__atomic_store_n(&quit, 1, __ATOMIC_RELEASE);
	return arg;
}

int main(void)
{
	struct sigaction action = { .sa_handler = stay, .sa_flags = SA_RESTART };
	pthread_rwlockattr_t attr;
	pthread_t reader;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&table, &attr);
	allow(SIG_BLOCK);
	sigaction(SIGUSR1, &action, NULL);
	pthread_join(prog_thread(read_and_return, NULL), NULL);
	writer = prog_thread(write_soon, NULL);
	prog_nap_ms(200);
	pthread_kill(writer, SIGUSR1);
	while (!__atomic_load_n(&in_handler, __ATOMIC_ACQUIRE))
		prog_nap_ms(1);
	reader = prog_thread(read_behind, NULL);
	prog_thread(quit_later, NULL);
	prog_nap_ms(100);
	prog_ready();
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	prog_end(gave_up);
}
