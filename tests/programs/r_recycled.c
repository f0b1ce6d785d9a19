/* SPDX-License-Identifier: MIT
 *
 * expect: stuck cond-wait unreachable 1
 * kind: cond
 * creator: stuck set_up main
 * runs: 20 18
 * variants: -O0 -O2
 *
 * What it is: a forgotten queue in memory that was used before and is used again: blocks of all
 * sizes come and go before it is made, while holders of pointers to it come and go, and after they
 * are gone; what is allocated last is live, and not all of it is written. Each run draws other
 * numbers. Now and then a block that is live keeps an old pointer where it was not written: then
 * the queue counts as reached, for that cannot be told from outside.
 */
#include "reach.h"

enum { ROUNDS = 2000, SLOTS = 200, HOLDERS = 20 };

static void *slot[SLOTS];
static unsigned drawn;

static unsigned draw(unsigned below)
{
	drawn = drawn * 1103515245 + 12345;
	return (drawn >> 16) % below;
}

static REACH_APART void come_and_go(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		unsigned at = draw(SLOTS), bytes = 16 + draw(draw(10) ? 300 : 5000);

		free(slot[at]);
		slot[at] = malloc(bytes);
		PROG_CHECK(slot[at]);
		memset(slot[at], (int)at, bytes - draw(1 + bytes / 40));
	}
}

/* Each has a block with the pointer in it for a while. */
static REACH_APART void hold(struct gate *gate)
{
	struct gate **holder[HOLDERS];

	for (int i = 0; i < HOLDERS; i++) {
		holder[i] = calloc(1, 64 + 16 * draw(10));
		PROG_CHECK(holder[i]);
		holder[i][draw(4)] = gate;
	}
	for (int i = 0; i < HOLDERS; i++)
		free(holder[i]);
	memset(holder, 0, sizeof(holder));
}

static REACH_APART void set_up(void)
{
	struct gate *gate;

	come_and_go();
	gate = gate_new();
	prog_thread(gate_waiter, gate);
	for (int i = 0; i < 5; i++)
		hold(gate);
}

int main(void)
{
	drawn = (unsigned)getpid() * 2654435761u;
	set_up();
	come_and_go();
	reach_forget();
	prog_ready();
	prog_sleep_long();
	return 0;
}
