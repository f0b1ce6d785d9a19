/* SPDX-License-Identifier: MIT
 *
 * For programs about who can reach what: a gate that threads wait at, and orders from outside.
 *
 * The gate's size is such that the word behind its last byte is not its own, also in glibc's blocks.
 */
#ifndef REACH_H
#define REACH_H

#include "forget.h"

enum { REACH_LOAD_SLOTS = 64 };

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	long passed;
};

_Static_assert(sizeof(struct gate) % 16 == 8, "one past its end is one past its block's end");

static inline void gate_init(struct gate *gate)
{
	memset(gate, 0, sizeof(*gate));
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->changed, NULL);
}

static inline struct gate *gate_new(void)
{
	struct gate *gate = malloc(sizeof(*gate));

	PROG_CHECK(gate);
	gate_init(gate);
	return gate;
}

static REACH_APART void gate_wait(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	gate->passed++;
	pthread_mutex_unlock(&gate->lock);
}

static inline void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

/* A thread that waits at the gate given. */
static inline void *gate_waiter(void *arg)
{
	gate_wait(arg);
	return NULL;
}

/* A byte from the standard input; 'q' at its end. */
static inline char reach_order(void)
{
	char order;
	ssize_t got;

	do {
		got = read(STDIN_FILENO, &order, 1);
	} while (got < 0 && errno == EINTR);
	return got == 1 ? order : 'q';
}

/* Blocks of many sizes come and go; a third of the time it sleeps. */
static inline void *reach_load(void *arg)
{
	char *slot[REACH_LOAD_SLOTS] = { NULL };
	unsigned random = 1;

	for (unsigned turn = 1;; turn++) {
		random = random * 1103515245 + 12345;
		unsigned at = (random >> 16) % REACH_LOAD_SLOTS;
		size_t bytes = turn % 512 == 0 ? 200000 : 16 + (random >> 8) % 3000;

		free(slot[at]);
		slot[at] = malloc(bytes);
		PROG_CHECK(slot[at]);
		slot[at][0] = slot[at][bytes - 1] = 1;
		if (turn % 4096 == 0)
			usleep(300);
	}
	return arg;
}

/* Waits for the byte that ends the program; obeys `l` meanwhile. */
static inline void reach_wait_for_quit(void)
{
	while (reach_order() != 'q') {
		prog_thread(reach_load, NULL);
		prog_say("done\n");
	}
}

#endif
