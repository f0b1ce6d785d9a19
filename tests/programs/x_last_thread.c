/* SPDX-License-Identifier: MIT
 *
 * expect: unjoined - - 2
 * check: ends
 * creator: unjoined main
 * variants: -O0 -O2
 *
 * What it is: main leaves by pthread_exit; the process ends, with status 0, when the last thread
 * does, which was detached. Two others have finished before, and nobody has joined them.
 */
#include "settle.h"

static void *finish(void *arg)
{
	return arg;
}

static void *finish_last(void *arg)
{
	settle(0);
	prog_say("the last one\n");
	return arg;
}

int main(void)
{
	prog_ready();
	prog_thread(finish, NULL);
	prog_thread(finish, NULL);
	pthread_detach(prog_thread(finish_last, NULL));
	pthread_exit(NULL);
}
