/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: thread | process | reading-thread | reading-process
 * ends: quit
 * variants: -O0 -O2 pidns
 *
 * What it is: clone(2) without a thread pointer of its own makes a thread, or a process in the
 * same memory, that takes locks under its creator's number. The creator waits for such a lock,
 * which bears its own number; who holds it is live and unlocks it at the end. Locks for reading bear
 * no number, but what is recorded of them is in the creator's record.
 */
#include "prog.h"
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { STACK = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char stack[STACK] __attribute__((aligned(16)));
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static bool reads;
static int held;

static int hold(void *arg)
{
	char byte;

	if (arg)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (reads)
		pthread_rwlock_rdlock(&table);
	else
		pthread_mutex_lock(&lock);
	__atomic_store_n(&held, 1, __ATOMIC_RELEASE);
	(void)!read(STDIN_FILENO, &byte, 1);
	if (reads)
		pthread_rwlock_unlock(&table);
	else
		pthread_mutex_unlock(&lock);
	for (;;)
		syscall(SYS_pause);
	return 0;
}

/* Before its first thread a program's unlock wakes nobody. */
static void *be_first(void *arg)
{
	return arg;
}

int main(int argc, char **argv)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND;
	bool thread = argc == 2 && strstr(argv[1], "thread");

	reads = argc == 2 && strstr(argv[1], "reading");
	pthread_join(prog_thread(be_first, NULL), NULL);
	flags |= thread ? CLONE_THREAD | CLONE_SYSVSEM : SIGCHLD;
	PROG_CHECK(clone(hold, stack + STACK, flags, thread ? NULL : &lock) > 0);
	while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
		prog_nap_ms(1);
	prog_ready();
	if (reads)
		pthread_rwlock_wrlock(&table);
	else
		pthread_mutex_lock(&lock);
	prog_end(true);
}
