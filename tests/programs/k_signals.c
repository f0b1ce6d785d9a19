/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * load: yes
 * looks: 25
 * looks@signal_block: 200
 * ends: quit
 * args: signal_block | signal_static | signal_mapped | signal_main | under_signal | under_signal_main
 * variants: -O2
 * long: -O0
 *
 * What it is: a live thread is in its signal handler, on a signal stack in a block, in static memory
 * or in a mapping that only the kernel knows; the only pointer to the gate stands in the handler's
 * frame, or in the frame on the thread's usual stack that the signal interrupted. What a
 * careless prover gets wrong: it looks at a thread's usual stack only, or, as the stack pointer is
 * elsewhere, not at all; it takes memory that no word leads to for garbage.
 */
#include "keep.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { STACK_BYTES = 120000, SIGNAL = SIGUSR1 };

static char space[STACK_BYTES] __attribute__((aligned(64)));

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

/* Signal stacks. Nobody but the kernel knows where the handler's stack is. */

static void (*volatile in_handler)(void);

static void handle(int signal)
{
	(void)signal;
	in_handler();
}

/* It is blocked everywhere but in the holder, for a handler that may run could wake anybody. */
static void change_mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	PROG_CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void use_signal_stack(void *at)
{
	stack_t stack = { .ss_sp = at, .ss_size = STACK_BYTES };
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_ONSTACK };

	PROG_CHECK(at && sigaltstack(&stack, NULL) == 0);
	PROG_CHECK(sigaction(SIGNAL, &action, NULL) == 0);
	change_mask(SIG_UNBLOCK);
}

static void signal_self(void)
{
	PROG_CHECK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGNAL) == 0);
}

/* The handler is not to run again, and leaves nothing behind. */
static REACH_APART void wipe_signal_stack(void)
{
	stack_t stack;

	change_mask(SIG_BLOCK);
	PROG_CHECK(sigaltstack(NULL, &stack) == 0);
	memset(stack.ss_sp, 0, stack.ss_size);
}

static REACH_APART void stay_in_handler(void)
{
	in_handler = stay_with_pointer;
	signal_self();
	wipe_signal_stack();
}

static void *hold_on_signal_stack(void *arg)
{
	stay_in_handler();
	reach_forget();
	keep_wait();
	return arg;
}

static REACH_APART void prepare_block(void)
{
	use_signal_stack(malloc(STACK_BYTES));
}

static void *hold_in_signal_block(void *arg)
{
	prepare_block();
	reach_forget();
	return hold_on_signal_stack(arg);
}

static REACH_APART void prepare_mapped(void)
{
	use_signal_stack(map_stack());
}

static void *hold_in_signal_mapped(void *arg)
{
	prepare_mapped();
	reach_forget();
	return hold_on_signal_stack(arg);
}

static void *hold_in_signal_static(void *arg)
{
	use_signal_stack(space);
	return hold_on_signal_stack(arg);
}

static void keep_signal_block(struct gate *gate)
{
	keep_holder(hold_in_signal_block, gate, NULL);
}

static void keep_signal_mapped(struct gate *gate)
{
	keep_holder(hold_in_signal_mapped, gate, NULL);
}

static void keep_signal_static(struct gate *gate)
{
	keep_holder(hold_in_signal_static, gate, NULL);
}

/* The first thread's stack is of another kind; another thread then takes the orders. */
static void *obey_beside_main(void *place)
{
	keep_expect_answer();
	keep_obey(place);
	return NULL;
}

static const struct place by_main = { "main", NULL, keep_ask_holder, NULL };

static REACH_APART void set_up_main(void)
{
	struct gate *gate = gate_new();

	PROG_CHECK(pipe(keep_orders) == 0 && pipe(keep_answers) == 0);
	keep_waiter = prog_thread(gate_waiter, gate);
	keep_box = gate;
	prog_thread(obey_beside_main, (void *)&by_main);
}

static void keep_signal_main(void)
{
	set_up_main();
	hold_in_signal_block(NULL);
}

static REACH_APART void stay_under_handler(void)
{
	struct gate *volatile here = keep_take();

	in_handler = keep_wait;
	signal_self();
	keep_box = here;
	here = NULL;
	wipe_signal_stack();
}

static void *hold_under_signal(void *arg)
{
	prepare_block();
	stay_under_handler();
	reach_forget();
	keep_wait();
	return arg;
}

static void keep_under_signal(struct gate *gate)
{
	keep_holder(hold_under_signal, gate, NULL);
}

static void keep_under_signal_main(void)
{
	set_up_main();
	hold_under_signal(NULL);
}

static const struct place places[] = {
	{ "signal_block", keep_signal_block, keep_ask_holder, NULL },
	{ "signal_static", keep_signal_static, keep_ask_holder, NULL },
	{ "signal_mapped", keep_signal_mapped, keep_ask_holder, NULL },
	{ "under_signal", keep_under_signal, keep_ask_holder, NULL },
};

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	change_mask(SIG_BLOCK);
	if (strcmp(argv[1], "signal_main") == 0)
		keep_signal_main();
	else if (strcmp(argv[1], "under_signal_main") == 0)
		keep_under_signal_main();
	else
		return keep_main(argc, argv, places, sizeof(places) / sizeof(*places));
	return 0;
}
