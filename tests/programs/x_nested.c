/* SPDX-License-Identifier: MIT
 *
 * expect: alive sleep - 1
 * expect: unjoined - - 2
 * check: ends
 * creator: alive start_innermost begin_middle
 * creator: unjoined start_middle begin_outer
 * creator: unjoined start_outer main
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: a thread makes a thread that makes a thread; the first two have finished.
 */
#include "settle.h"

static void *sleep_long(void *arg)
{
	prog_sleep_long();
	return arg;
}

static __attribute__((noipa)) void start_innermost(void)
{
	prog_thread(sleep_long, NULL);
}

static void *begin_middle(void *arg)
{
	start_innermost();
	return arg;
}

static __attribute__((noipa)) void start_middle(void)
{
	prog_thread(begin_middle, NULL);
}

static void *begin_outer(void *arg)
{
	start_middle();
	return arg;
}

static __attribute__((noipa)) void start_outer(void)
{
	prog_thread(begin_outer, NULL);
}

int main(void)
{
	prog_ready();
	start_outer();
	settle(1);
	return 0;
}
