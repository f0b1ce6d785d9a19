/* SPDX-License-Identifier: MIT
 *
 * expect@return: alive cond-wait main-returned 1
 * expect@exit: alive cond-wait - 1
 * check: ends
 * args: return | exit
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: a thread waits at a gate in a block that only main's frame leads to, by one more
 * block. When main has returned nobody can use it any more; when main calls exit it may be used.
 */
#include "reach.h"
#include "settle.h"

static REACH_APART struct gate **set_up(void)
{
	struct gate **holder = calloc(1, 4 * sizeof(*holder));

	PROG_CHECK(holder);
	holder[2] = gate_new();
	prog_thread(gate_waiter, holder[2]);
	return holder;
}

int main(int argc, char **argv)
{
	struct gate **volatile holder;

	PROG_CHECK(argc == 2);
	prog_ready();
	holder = set_up();
	PROG_CHECK(holder);
	settle(1);
	reach_forget();
	if (strcmp(argv[1], "exit") == 0)
		exit(0);
	return 0;
}
