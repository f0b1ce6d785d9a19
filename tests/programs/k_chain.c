/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * lost@gates: cond-wait 7
 * load: yes
 * looks: 25
 * ends: quit
 * args: lock_of_live | join_of_live | deadline | input | gates | readers
 * variants: -O2
 * long: -O0 no-cfi clang stripped
 *
 * What it is: the only pointer to the gate is on the stack of a thread that is blocked, too, but is
 * live: it waits for a lock that main holds, to join a live thread, with a deadline, for input, at
 * a gate that the next thread knows, and so on up to one that a global leads to, or behind a
 * reader. What a careless prover gets wrong: it marks once, from the threads that run or are
 * outside, and does not go on with those that turn out live by an owner or by the heap.
 */
#include "keep.h"

enum { DEPTH = 6 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t readers = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_t sleeper;
static int ends[2];
static bool told;
static void (*wait_blocked)(void);

static void wait_for_lock(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
}

static void wait_for_join(void)
{
	PROG_CHECK(pthread_join(sleeper, NULL) == 0);
}

static void wait_with_deadline(void)
{
	struct timespec far = prog_far(CLOCK_REALTIME);

	pthread_mutex_lock(&lock);
	while (!told)
		pthread_cond_timedwait(&never, &lock, &far);
	pthread_mutex_unlock(&lock);
}

static void wait_for_input(void)
{
	char byte;

	PROG_CHECK(read(ends[0], &byte, 1) == 1);
}

static void wait_for_readers(void)
{
	pthread_rwlock_wrlock(&readers);
	pthread_rwlock_unlock(&readers);
}

static void *sleep_until_told(void *arg)
{
	wait_for_input();
	return arg;
}

static pthread_barrier_t hidden;

static REACH_APART void stay_blocked(void)
{
	struct gate *volatile here = keep_take();

	pthread_barrier_wait(&hidden);
	wait_blocked();
	keep_box = here;
	here = NULL;
	pthread_barrier_wait(&hidden);
}

static void *hold_blocked(void *arg)
{
	stay_blocked();
	return arg;
}

static void keep_blocked(void (*how)(void), struct gate *gate)
{
	wait_blocked = how;
	pthread_barrier_init(&hidden, NULL, 2);
	keep_box = gate;
	prog_thread(hold_blocked, NULL);
	pthread_barrier_wait(&hidden);
}

static void keep_lock_of_live(struct gate *gate)
{
	pthread_mutex_lock(&lock);
	keep_blocked(wait_for_lock, gate);
}

static struct gate *give_lock_of_live(void)
{
	pthread_mutex_unlock(&lock);
	pthread_barrier_wait(&hidden);
	return keep_take();
}

static void keep_join_of_live(struct gate *gate)
{
	PROG_CHECK(pipe(ends) == 0);
	sleeper = prog_thread(sleep_until_told, NULL);
	keep_blocked(wait_for_join, gate);
}

static struct gate *give_by_byte(void)
{
	PROG_CHECK(write(ends[1], "", 1) == 1);
	pthread_barrier_wait(&hidden);
	return keep_take();
}

static void keep_deadline(struct gate *gate)
{
	keep_blocked(wait_with_deadline, gate);
}

static struct gate *give_deadline(void)
{
	pthread_mutex_lock(&lock);
	told = true;
	pthread_cond_broadcast(&never);
	pthread_mutex_unlock(&lock);
	pthread_barrier_wait(&hidden);
	return keep_take();
}

static void keep_input(struct gate *gate)
{
	PROG_CHECK(pipe(ends) == 0);
	keep_blocked(wait_for_input, gate);
}

static void keep_readers(struct gate *gate)
{
	pthread_rwlock_rdlock(&readers);
	keep_blocked(wait_for_readers, gate);
}

static struct gate *give_readers(void)
{
	pthread_rwlock_unlock(&readers);
	pthread_barrier_wait(&hidden);
	return keep_take();
}

/* Each thread waits at a gate that only the one after it knows; a global knows the last one. */

struct link {
	struct gate *own, *before;
};

static struct gate *last;

static REACH_APART void stay_at_gate(void)
{
	struct link *link = (struct link *)keep_take();
	struct gate *volatile before = link->before;
	struct gate *own = link->own;

	free(link);
	pthread_barrier_wait(&hidden);
	gate_wait(own);
	gate_open(before);
	before = NULL;
}

static void *wait_and_open(void *arg)
{
	stay_at_gate();
	return arg;
}

static void keep_gates(struct gate *gate)
{
	pthread_barrier_init(&hidden, NULL, 2);
	for (int i = 0; i < DEPTH; i++) {
		struct link *link = calloc(1, sizeof(*link));

		PROG_CHECK(link);
		*link = (struct link){ gate_new(), gate };
		gate = link->own;
		keep_box = link;
		prog_thread(wait_and_open, NULL);
		pthread_barrier_wait(&hidden);
	}
	last = gate;
}

/* Opening the last opens them all, one after the other, and so the first. */
static struct gate *give_gates(void)
{
	struct gate *gate = last;

	last = NULL;
	return gate;
}

static const struct place places[] = {
	{ "lock_of_live", keep_lock_of_live, give_lock_of_live, NULL },
	{ "join_of_live", keep_join_of_live, give_by_byte, NULL },
	{ "deadline", keep_deadline, give_deadline, NULL },
	{ "input", keep_input, give_by_byte, NULL },
	{ "gates", keep_gates, give_gates, NULL },
	{ "readers", keep_readers, give_readers, NULL },
};

KEEP_MAIN(places)
