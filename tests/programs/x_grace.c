/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * check: ends
 * args: detached | joinable_detached_late
 * options: --grace=20s
 * variants: -O0 -O2
 *
 * What it is: a thread ends soon after main returned, within the grace, and nobody misses it.
 */
#include "prog.h"

static void *finish_soon(void *arg)
{
	prog_nap_ms(150);
	if (arg)
		pthread_detach(pthread_self());
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	PROG_CHECK(argc == 2);
	prog_ready();
	if (strcmp(argv[1], "detached") == 0) {
		thread = prog_thread(finish_soon, NULL);
		pthread_detach(thread);
	} else {
		prog_thread(finish_soon, &thread);
	}
	return 0;
}
