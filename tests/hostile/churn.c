/* SPDX-License-Identifier: MIT
 *
 * A process that does not stay what it is while it is looked at. Its argument says how it changes:
 *   exec     main executes the program again every few milliseconds, over its other threads
 *   thread   a thread that is not main does, and so takes main's number
 *   exit     it ends after a few milliseconds, with threads in the middle of things
 *   fork     it makes children all the time, which end at once
 *   threads  its threads start more threads and end
 * A second argument counts the executions so far.
 */
#include "../programs/prog.h"
#include <signal.h>
#include <sys/wait.h>

enum { HELPERS = 40 }; /* many: an exec that kills those already traced is met often */

static char count[16];
static char *again[4] = { NULL, NULL, count, NULL };

static void *help(void *arg)
{
	for (;;)
		usleep(20000);
	return arg;
}

static void *execute_soon(void *arg)
{
	usleep(3000);
	execv("/proc/self/exe", again);
	_exit(99);
	return arg;
}

static void *end_soon(void *arg)
{
	usleep(200);
	return arg;
}

static void fork_for_ever(void)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (fork() == 0)
			_exit(0);
		usleep(500);
	}
}

static void *thread_for_ever(void *arg)
{
	for (;;) {
		pthread_detach(prog_thread(end_soon, NULL));
		usleep(300);
	}
	return arg;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "exit";
	bool first = argc < 3;

	again[0] = argv[0];
	again[1] = (char *)how;
	snprintf(count, sizeof(count), "%d", first ? 1 : atoi(argv[2]) + 1);
	for (int i = 0; i < HELPERS; i++)
		prog_thread(help, NULL);
	if (first)
		prog_ready();
	if (strcmp(how, "exec") == 0)
		execute_soon(NULL);
	else if (strcmp(how, "thread") == 0)
		prog_thread(execute_soon, NULL);
	else if (strcmp(how, "exit") == 0)
		usleep(4000);
	else if (strcmp(how, "fork") == 0)
		fork_for_ever();
	else
		for (int i = 0; i < HELPERS; i++)
			prog_thread(thread_for_ever, NULL);
	if (strcmp(how, "exit") != 0)
		pause();
	return 0;
}
