/* SPDX-License-Identifier: MIT
 *
 * expect: stuck cond-wait unreachable 1
 * check: ends
 * args: return | exit | _exit | thread
 * options: --grace=0
 * creator: stuck set_up main
 * variants: -O0 -O2
 *
 * What it is: when the program ends, by main or by another thread, a thread waits at a gate that has
 * been forgotten.
 */
#include "reach.h"
#include "settle.h"

static REACH_APART void set_up(void)
{
	prog_thread(gate_waiter, gate_new());
	REACH_STAY();
}

static void *end(void *arg)
{
	exit(0);
	return arg;
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	set_up();
	settle(1);
	reach_forget();
	prog_ready();
	if (strcmp(argv[1], "exit") == 0)
		exit(0);
	if (strcmp(argv[1], "_exit") == 0)
		_exit(0);
	if (strcmp(argv[1], "thread") == 0) {
		prog_thread(end, NULL);
		prog_sleep_long();
	}
	return 0;
}
