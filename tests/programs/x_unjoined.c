/* SPDX-License-Identifier: MIT
 *
 * expect: unjoined - - 3
 * check: ends
 * creator: unjoined start_and_forget main
 * variants: -O0 -O2
 *
 * What it is: three threads have finished and nobody has joined them; two more were joined, one was
 * detached from outside, one detached itself.
 */
#include "settle.h"

static void *work(void *arg)
{
	return arg;
}

static void *detach_oneself(void *arg)
{
	pthread_detach(pthread_self());
	return arg;
}

static __attribute__((noipa)) void start_and_forget(void)
{
	prog_thread(work, NULL);
}

int main(void)
{
	prog_ready();
	for (int i = 0; i < 3; i++)
		start_and_forget();
	for (int i = 0; i < 2; i++)
		pthread_join(prog_thread(work, NULL), NULL);
	pthread_detach(prog_thread(work, NULL));
	prog_thread(detach_oneself, NULL);
	settle(0);
	return 0;
}
