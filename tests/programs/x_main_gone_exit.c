/* SPDX-License-Identifier: MIT
 *
 * expect: alive sleep - 1
 * check: ends
 * status: 6
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: main has left by pthread_exit; later another thread calls exit while a third sleeps.
 */
#include "settle.h"

static void *sleep_long(void *arg)
{
	prog_sleep_long();
	return arg;
}

static void *exit_later(void *arg)
{
	settle(1);
	exit(6);
	return arg;
}

int main(void)
{
	prog_ready();
	prog_thread(sleep_long, NULL);
	pthread_detach(prog_thread(exit_later, NULL));
	pthread_exit(NULL);
}
