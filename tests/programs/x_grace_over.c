/* SPDX-License-Identifier: MIT
 *
 * expect: alive sleep - 1
 * check: ends
 * options: --grace=50
 * variants: -O2
 *
 * What it is: as x_grace.c, but the grace is over long before the thread would end.
 */
#include "settle.h"

static void *finish_late(void *arg)
{
	prog_nap_ms(30000);
	return arg;
}

int main(void)
{
	prog_ready();
	pthread_detach(prog_thread(finish_late, NULL));
	settle(1);
	return 0;
}
