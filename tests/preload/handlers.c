/* SPDX-License-Identifier: MIT
 *
 * Handlers, by every function that installs one: which signal, and whether it restarts.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "trace.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

sighandler_t bsd_signal(int, sighandler_t);

static void handler(int signal)
{
	(void)signal;
}

static void expect(unsigned handlers, int signal, int restarts)
{
	CHECK_TRACE(trace()->handlers == handlers);
	CHECK_TRACE(trace()->handler_signal == signal && trace()->handler_restarts == restarts);
}

static void check_sigaction(void)
{
	struct sigaction action = { .sa_handler = handler };
	struct sigaction *volatile same = &action;

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	expect(1, SIGUSR1, 0);
	action.sa_flags = SA_RESTART;
	/* The same struct for both. */
	CHECK(!sigaction(SIGUSR2, &action, same));
	expect(2, SIGUSR2, 1);
	CHECK(action.sa_handler == SIG_DFL);
	CHECK(!sigaction(SIGUSR1, &action, NULL));
	CHECK(!sigaction(SIGUSR1, NULL, &action));
	action.sa_handler = handler;
	CHECK(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
	expect(2, SIGUSR2, 1);
}

static void check_others(void)
{
	CHECK(signal(SIGALRM, handler) == SIG_DFL);
	expect(3, SIGALRM, 1);
	CHECK(sysv_signal(SIGUSR1, handler) == SIG_DFL);
	expect(4, SIGUSR1, 0);
	CHECK(bsd_signal(SIGUSR1, handler) == handler);
	expect(5, SIGUSR1, 1);
	CHECK(__sysv_signal(SIGHUP, handler) == SIG_DFL);
	expect(6, SIGHUP, 0);
	CHECK(ssignal(SIGHUP, handler) == handler);
	expect(7, SIGHUP, 1);
	CHECK(sigset(SIGTERM, handler) == SIG_DFL);
	expect(8, SIGTERM, 0);
	CHECK(!siginterrupt(SIGALRM, 1));
	expect(9, SIGALRM, 0);
	CHECK(signal(SIGALRM, SIG_IGN) == handler && signal(SIGALRM, SIG_DFL) == SIG_IGN);
	CHECK(signal(SIGKILL, handler) == SIG_ERR && errno == EINVAL);
	expect(9, SIGALRM, 0);
}

int main(void)
{
	check_sigaction();
	check_others();
	puts("ok");
	return 0;
}
