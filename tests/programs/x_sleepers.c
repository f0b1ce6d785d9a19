/* SPDX-License-Identifier: MIT
 *
 * expect: alive sleep - 2
 * check: ends
 * status: 3
 * creator: alive main
 * options: --grace=0
 * variants: -O0 -O2 stripped
 *
 * What it is: two threads sleep for long when main returns 3.
 */
#include "settle.h"

static void *nap(void *arg)
{
	prog_sleep_long();
	return arg;
}

int main(void)
{
	prog_ready();
	prog_thread(nap, NULL);
	prog_thread(nap, NULL);
	settle(2);
	return 3;
}
