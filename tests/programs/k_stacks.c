/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * lost@gate_on_stack: no
 * load: yes
 * looks: 25
 * looks@coroutine: 200
 * ends: quit
 * args: coroutine | coroutine_mapped | coroutine_bare | on_coroutine | under_coroutine
 * args: stack_block | stack_static | stack_neighbours | gate_on_stack | parked
 * variants: -O2
 * long: -O0 no-cfi clang
 *
 * What it is: the only pointer to the gate stands in a frame on a stack that is not the usual one, or
 * on the usual one while the thread runs elsewhere. What a careless prover gets wrong: it looks at a
 * thread's own stack from the stack pointer up, but the thread is in a coroutine, and then the
 * whole of its own stack counts; it takes memory that no word leads to for garbage, but a live
 * thread's stack pointer leads there; it wants a pointer to the beginning of a coroutine's stack,
 * but a saved stack pointer is all there is; it does not follow pointers into stacks of blocked
 * threads, where waiters link themselves into lists.
 */
#include "keep.h"
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK_BYTES = 120000 };

static char space[4 * STACK_BYTES] __attribute__((aligned(64)));

static void *map_stack(void)
{
	void *at =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	PROG_CHECK(at != MAP_FAILED);
	return at;
}

/* The pointer is in this function's frame until the order comes. */
static REACH_APART void stay_with_pointer(void)
{
	struct gate *volatile here = keep_take();

	keep_wait();
	keep_box = here;
	here = NULL;
}

/* Coroutines: one that is left in the middle, and is known by its saved registers */

struct coroutine {
	ucontext_t own, caller;
};

static struct coroutine *coroutine;

static void stay_in_coroutine(void)
{
	struct gate *volatile here = keep_take();

	swapcontext(&coroutine->own, &coroutine->caller);
	keep_box = here;
	here = NULL;
}

static void make_coroutine(struct coroutine *c, void *stack, void (*body)(void))
{
	PROG_CHECK(c && stack && getcontext(&c->own) == 0);
	c->own.uc_stack.ss_sp = stack;
	c->own.uc_stack.ss_size = STACK_BYTES;
	c->own.uc_link = &c->caller;
	makecontext(&c->own, body, 0);
}

static void keep_in_coroutine(void *stack, struct gate *gate)
{
	coroutine = calloc(1, sizeof(*coroutine));
	make_coroutine(coroutine, stack, stay_in_coroutine);
	keep_box = gate;
	PROG_CHECK(swapcontext(&coroutine->caller, &coroutine->own) == 0 && !keep_box);
	memset(&coroutine->caller, 0, sizeof(coroutine->caller));
}

static void keep_coroutine(struct gate *gate)
{
	keep_in_coroutine(calloc(1, STACK_BYTES), gate);
}

static void keep_coroutine_mapped(struct gate *gate)
{
	keep_in_coroutine(map_stack(), gate);
}

/* Of the stack's place nothing is left but what the registers were. */
static void keep_coroutine_bare(struct gate *gate)
{
	keep_in_coroutine(calloc(1, STACK_BYTES), gate);
	memset(&coroutine->own.uc_stack, 0, sizeof(coroutine->own.uc_stack));
}

static struct gate *give_coroutine(void)
{
	PROG_CHECK(swapcontext(&coroutine->caller, &coroutine->own) == 0);
	memset(coroutine, 0, sizeof(*coroutine));
	return keep_take();
}

/* … and one that runs, with the thread's own stack beneath it */

static REACH_APART void enter_coroutine(void (*body)(void))
{
	struct coroutine here;

	memset(&here, 0, sizeof(here));
	make_coroutine(&here, calloc(1, STACK_BYTES), body);
	PROG_CHECK(swapcontext(&here.caller, &here.own) == 0);
}

static void *hold_on_coroutine(void *arg)
{
	enter_coroutine(stay_with_pointer);
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_on_coroutine(struct gate *gate)
{
	keep_holder(hold_on_coroutine, gate, NULL);
}

static REACH_APART void stay_under_coroutine(void)
{
	struct gate *volatile here = keep_take();

	enter_coroutine(keep_wait);
	keep_box = here;
	here = NULL;
}

static void *hold_under_coroutine(void *arg)
{
	stay_under_coroutine();
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_under_coroutine(struct gate *gate)
{
	keep_holder(hold_under_coroutine, gate, NULL);
}

/* Threads on stacks of the program's own; nothing but the thread knows them */

static void *hold_in_frame(void *arg)
{
	stay_with_pointer();
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_on_stack(void *stack, struct gate *gate)
{
	pthread_attr_t attr;

	PROG_CHECK(stack && pthread_attr_init(&attr) == 0);
	PROG_CHECK(pthread_attr_setguardsize(&attr, 0) == 0);
	PROG_CHECK(pthread_attr_setstack(&attr, stack, STACK_BYTES) == 0);
	keep_holder(hold_in_frame, gate, &attr);
}

static void keep_stack_block(struct gate *gate)
{
	keep_on_stack(calloc(1, STACK_BYTES), gate);
}

static void keep_stack_static(struct gate *gate)
{
	keep_on_stack(space + STACK_BYTES, gate);
}

/* Three in one mapping, without a gap; the neighbours end and begin at odd addresses. */
static void *sleep_on(void *arg)
{
	prog_sleep_long();
	return arg;
}

static void keep_stack_neighbours(struct gate *gate)
{
	size_t bytes = (size_t)3 * STACK_BYTES;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;

	PROG_CHECK(at != MAP_FAILED && pthread_attr_init(&attr) == 0);
	for (int i = 0; i < 3; i += 2) {
		PROG_CHECK(pthread_attr_setstack(&attr, at + (size_t)i * STACK_BYTES,
						 STACK_BYTES) == 0);
		PROG_CHECK(pthread_create(&thread, &attr, sleep_on, NULL) == 0);
	}
	keep_on_stack(at + STACK_BYTES, gate);
}

/* The gate lies in the frame of a live thread: no word points there. */

static struct gate *volatile made;

static void *hold_gate(void *arg)
{
	struct gate gate;

	gate_init(&gate);
	made = &gate;
	keep_wait();
	keep_box = &gate;
	keep_wait();
	return arg;
}

static struct gate *make_on_stack(void)
{
	struct gate *gate;

	keep_holder(hold_gate, NULL, NULL);
	gate = made;
	made = NULL;
	return gate;
}

static void keep_nothing(struct gate *gate)
{
	(void)gate;
}

/* Waiters that link themselves: each node lies in the frame of the thread that waits there. */

struct parked {
	struct gate own;
	struct parked *next;
	struct gate *thing;
};

static struct parked *parked;
static pthread_barrier_t is_parked;

static REACH_APART void link_parked(struct parked *here)
{
	memset(here, 0, sizeof(*here));
	gate_init(&here->own);
	here->next = parked;
	here->thing = keep_take();
	parked = here;
}

static void *park(void *arg)
{
	struct parked here;

	link_parked(&here);
	reach_forget();
	pthread_barrier_wait(&is_parked);
	gate_wait(&here.own);
	return arg;
}

static void keep_parked(struct gate *gate)
{
	pthread_barrier_init(&is_parked, NULL, 2);
	keep_box = gate;
	for (int i = 0; i < 3; i++) {
		prog_thread(park, NULL);
		pthread_barrier_wait(&is_parked);
	}
}

static struct gate *give_parked(void)
{
	struct parked *first = parked;
	struct gate *gate;

	while (first->next)
		first = first->next;
	gate = first->thing;
	first->thing = NULL;
	return gate;
}

static const struct place places[] = {
	{ "coroutine", keep_coroutine, give_coroutine, NULL },
	{ "coroutine_mapped", keep_coroutine_mapped, give_coroutine, NULL },
	{ "coroutine_bare", keep_coroutine_bare, give_coroutine, NULL },
	{ "on_coroutine", keep_on_coroutine, keep_ask_holder, NULL },
	{ "under_coroutine", keep_under_coroutine, keep_ask_holder, NULL },
	{ "stack_block", keep_stack_block, keep_ask_holder, NULL },
	{ "stack_static", keep_stack_static, keep_ask_holder, NULL },
	{ "stack_neighbours", keep_stack_neighbours, keep_ask_holder, NULL },
	{ "gate_on_stack", keep_nothing, keep_ask_holder, make_on_stack },
	{ "parked", keep_parked, give_parked, NULL },
};

KEEP_MAIN(places)
