/* SPDX-License-Identifier: MIT
 *
 * expect@forgotten: stuck cond-wait unreachable 1
 * expect@detached: stuck cond-wait unreachable 1
 * kind: cond
 * creator: stuck set_up main
 * args: forgotten | detached
 * runs: 20
 * variants: -O0 -O2
 *
 * What it is: the program imports pthread_cancel, and uses it, but of the thread that waits at a
 * forgotten gate nobody has the handle any more. What keeps it too long: lists of threads and
 * stacks, which are the C library's own, taken for handles.
 */
#include "reach.h"

static pthread_t other;

static void *sleep_long(void *arg)
{
	prog_sleep_long();
	return arg;
}

static REACH_APART void set_up(bool detached)
{
	pthread_t thread = prog_thread(gate_waiter, gate_new());

	if (detached)
		pthread_detach(thread);
	other = prog_thread(sleep_long, NULL);
	PROG_CHECK(pthread_cancel(prog_thread(sleep_long, NULL)) == 0);
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	set_up(strcmp(argv[1], "detached") == 0);
	reach_forget();
	prog_ready();
	prog_sleep_long();
	PROG_CHECK(pthread_cancel(other) == 0);
	return 0;
}
