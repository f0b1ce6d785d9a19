/* SPDX-License-Identifier: MIT
 *
 * The frame of programs in which one word alone says where a gate is, and that word stands in an odd
 * place. A thread waits at the gate; main, which is live, or a thread started by keep_holder(),
 * can get at the word, so the wait is not stuck.
 *
 * A program has a table of places. keep() hides the only pointer there; give() takes it back and
 * leaves nothing behind. Orders come as bytes on the standard input: `l` starts a thread that
 * allocates and frees without end; `q` opens the gate, and all must have passed; `x` takes the
 * pointer back and forgets it: from now on the wait is stuck, which shows that nothing but
 * that place had kept it. Each order but `q` is answered by a line `done`.
 */
#ifndef KEEP_H
#define KEEP_H

#include "reach.h"

struct place {
	const char *name;
	void (*keep)(struct gate *gate);
	struct gate *(*give)(void);
	struct gate *(*make)(void); /* where the gate lies; NULL: malloc() */
};

enum { KEEP_SPOTS = 4 };

static void **keep_spots; /* of main's frame, for who keeps something there */
static char **keep_argv;

/* What takes a gate over must not leave it where it was. */
static void *volatile keep_box;

static inline struct gate *keep_take(void)
{
	return __atomic_exchange_n(&keep_box, NULL, __ATOMIC_SEQ_CST);
}

/* A thread that keeps it. It calls keep_wait() when it has hidden the pointer, which returns when
 * it is to be put into keep_box; then again, for good. */
static int keep_orders[2], keep_answers[2];

static inline void keep_wait(void)
{
	char order;

	PROG_CHECK(write(keep_answers[1], "", 1) == 1);
	while (read(keep_orders[0], &order, 1) != 1)
		;
}

static inline void keep_expect_answer(void)
{
	char answer;

	while (read(keep_answers[0], &answer, 1) != 1)
		;
}

static inline pthread_t keep_holder(void *(*start)(void *), struct gate *gate,
				    const pthread_attr_t *attr)
{
	pthread_t thread;

	PROG_CHECK(pipe(keep_orders) == 0 && pipe(keep_answers) == 0);
	keep_box = gate;
	PROG_CHECK(pthread_create(&thread, attr, start, NULL) == 0);
	keep_expect_answer();
	return thread;
}

static inline struct gate *keep_ask_holder(void)
{
	PROG_CHECK(write(keep_orders[1], "", 1) == 1);
	keep_expect_answer();
	return keep_take();
}

static pthread_t keep_waiter;

static REACH_APART void keep_set_up(const struct place *place)
{
	struct gate *gate = place->make ? place->make() : gate_new();

	keep_waiter = prog_thread(gate_waiter, gate);
	place->keep(gate);
}

static REACH_APART void keep_lose(const struct place *place)
{
	PROG_CHECK(place->give());
}

static REACH_APART void keep_open(const struct place *place)
{
	struct gate *gate = place->give();

	PROG_CHECK(gate);
	gate_open(gate);
	PROG_CHECK(pthread_join(keep_waiter, NULL) == 0);
	PROG_CHECK(gate->passed == 1);
}

static inline const struct place *keep_place_named(const struct place *places, size_t n,
						   const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(places[i].name, name) == 0)
			return &places[i];
	fprintf(stderr, "no such place: %s\n", name);
	_exit(99);
}

/* Do as one is told, until the end. */
static inline __attribute__((always_inline)) void keep_obey(const struct place *place)
{
	char order;

	reach_forget();
	prog_ready();
	while ((order = reach_order()) != 'q') {
		if (order == 'l')
			prog_thread(reach_load, NULL);
		else
			keep_lose(place);
		reach_forget();
		prog_say("done\n");
	}
	keep_open(place);
	prog_end(true);
}

static inline int keep_main(int argc, char **argv, const struct place *places, size_t n)
{
	void *spots[KEEP_SPOTS] = { NULL };
	const struct place *place;

	PROG_CHECK(argc == 2);
	keep_spots = spots;
	keep_argv = argv;
	place = keep_place_named(places, n, argv[1]);
	keep_set_up(place);
	keep_obey(place);
	return 0;
}

#define KEEP_MAIN(places)                                                                 \
	int main(int argc, char **argv)                                                   \
	{                                                                                 \
		return keep_main(argc, argv, places, sizeof(places) / sizeof(*(places))); \
	}

#endif
