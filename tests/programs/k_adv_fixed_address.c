/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: in | through
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: memory at an address that the program has chosen, and which therefore stands nowhere but
 * in its code. What a worker waits for lies in it (in), or is pointed to from there (through).
 */
#include "k_adv.h"
#include <sys/mman.h>

struct known {
	struct queue *queue;
	struct queue own;
};

#define KNOWN ((struct known *)0x2a5137900000)

static __attribute__((noinline)) pthread_t start(bool in)
{
	PROG_CHECK(mmap(KNOWN, 65536, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == KNOWN);
	if (in)
		return prog_thread(queue_work, queue_init(&KNOWN->own));
	KNOWN->queue = queue_new();
	return prog_thread(queue_work, KNOWN->queue);
}

int main(int argc, char **argv)
{
	bool in = argc > 1 && !strcmp(argv[1], "in");
	pthread_t worker = start(in);

	scrub();
	prog_ready();
	wait_for_stop();
	queue_put(in ? &KNOWN->own : KNOWN->queue);
	pthread_join(worker, NULL);
	prog_end(true);
}
