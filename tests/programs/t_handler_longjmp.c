/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: signal USR1
 * variants: -O0 -O2
 *
 * What it is: main waits for a mutex that nobody will ever unlock, but a handler would leave the
 * wait by siglongjmp, and at the end does.
 */
#include "prog.h"
#include <setjmp.h>
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sigjmp_buf out;

static void leave(int signal)
{
	(void)signal;
	siglongjmp(out, 1);
}

static void *lock_and_return(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

int main(void)
{
	struct sigaction action = { .sa_handler = leave };

	pthread_join(prog_thread(lock_and_return, NULL), NULL);
	if (sigsetjmp(out, 1) == 0) {
		PROG_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
		prog_ready();
		pthread_mutex_lock(&lock);
		prog_end(false);
	}
	prog_end(true);
}
