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
enum { STACK_BYTES = 64 << 20 };

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

/* Detached from birth, not by pthread_detach(): that of glibc 2.36 reads the thread's descriptor
 * once more after it has given it up. Whoever is held up in between, by a look or by mere load,
 * dies of SIGSEGV if the thread has ended and its stack is unmapped by then. The stacks are larger
 * than all that glibc keeps for reuse (40 MB): a hand on an ended thread shows soon. */
static void *thread_for_ever(void *arg)
{
	pthread_attr_t detached;
	pthread_t thread;

	PROG_CHECK(pthread_attr_init(&detached) == 0);
	PROG_CHECK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
	PROG_CHECK(pthread_attr_setstacksize(&detached, STACK_BYTES) == 0);
	for (;;) {
		PROG_CHECK(pthread_create(&thread, &detached, end_soon, NULL) == 0);
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
