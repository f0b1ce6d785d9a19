/* SPDX-License-Identifier: MIT
 *
 * The prover on hand-made models: every rule of the fixed point, each with its must-not-flag
 * twin. No process is involved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prove/prove.h"

static int setup(void **state)
{
	return model_create((struct model **)state);
}

static int teardown(void **state)
{
	model_free(*state);
	return 0;
}

static struct task *add_task(struct model *m, enum task_state state)
{
	struct task *t = model_add_task(m, TASK_THREAD);

	assert_non_null(t);
	t->state = state;
	return t;
}

/* A task blocked in `op` on the object of `kind` at `address`. */
static struct task *add_waiter(struct model *m, enum wait_op op, enum object_kind kind,
			       uint64_t address)
{
	struct task *t = add_task(m, STATE_BLOCKED);

	t->wait = model_alloc(m, sizeof(*t->wait));
	assert_non_null(t->wait);
	t->wait->op = op;
	t->wait->object = model_object(m, kind, address);
	assert_non_null(t->wait->object);
	return t;
}

static void own(struct task *waiter, struct task *owner)
{
	waiter->wait->object->owner_state = OWNER_TASK;
	waiter->wait->object->owner = owner;
}

static struct task *add_mutex_waiter(struct model *m, uint64_t address)
{
	return add_waiter(m, OP_MUTEX_LOCK, OBJECT_MUTEX, address);
}

static void prove(struct model *m)
{
	model_number_tasks(m);
	assert_int_equal(prove_tasks(m, NULL), 0);
}

static void assert_stuck(const struct task *t, enum reason_code reason)
{
	assert_int_equal(t->verdict, VERDICT_STUCK);
	assert_int_equal(t->reason, reason);
	assert_false(t->live);
}

static void assert_live(const struct task *t)
{
	assert_int_equal(t->verdict, VERDICT_NONE);
	assert_true(t->live);
}

static void test_two_mutexes_in_a_cycle(void **state)
{
	struct model *m = *state;
	struct task *main_task = add_task(m, STATE_SLEEPING);
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	own(a, b);
	own(b, a);
	prove(m);
	assert_live(main_task);
	assert_stuck(a, REASON_CYCLE);
	assert_stuck(b, REASON_CYCLE);
	assert_int_equal(a->group, b->group);
	assert_int_not_equal(a->group, 0);
	assert_ptr_equal(a->chain_next, b);
	assert_int_equal(m->proof, PROOF_FULL);
}

static void test_two_cycles_have_two_groups(void **state)
{
	struct model *m = *state;
	struct task *t[4];

	for (int i = 0; i < 4; i++)
		t[i] = add_mutex_waiter(m, 0x10 * (uint64_t)(i + 1));
	own(t[0], t[2]);
	own(t[2], t[0]);
	own(t[1], t[3]);
	own(t[3], t[1]);
	prove(m);
	assert_int_equal(t[0]->group, 1);
	assert_int_equal(t[2]->group, 1);
	assert_int_equal(t[1]->group, 2);
	assert_int_equal(t[3]->group, 2);
}

static void test_cycle_with_a_deadline_is_live(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	own(a, b);
	own(b, a);
	b->wait->has_deadline = true;
	prove(m);
	assert_live(a);
	assert_live(b);
}

static void test_self(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10);

	own(a, a);
	prove(m);
	assert_stuck(a, REASON_SELF);
	assert_int_equal(a->group, 0);
}

static void test_owner_ended_and_who_waits_behind(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	a->wait->object->owner_state = OWNER_ENDED;
	own(b, a);
	prove(m);
	assert_stuck(a, REASON_OWNER_ENDED);
	assert_stuck(b, REASON_OWNER_STUCK);
}

/* In a forked process the main thread, a copy of the one that called fork, may own what names a
 * thread of the parent. */
static void test_heirs_of_forked_locks(void **state)
{
	struct model *m = *state;
	struct task *heir = add_task(m, STATE_SLEEPING);
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	a->wait->object->owner_state = OWNER_ENDED;
	a->wait->object->heir = heir;
	own(b, a);
	prove(m);
	assert_live(a);
	assert_live(b);
	heir->state = STATE_BLOCKED;
	heir->wait = a->wait; /* the heir itself waits for it */
	prove(m);
	assert_stuck(heir, REASON_OWNER_ENDED);
	assert_stuck(a, REASON_OWNER_ENDED);
	assert_stuck(b, REASON_OWNER_STUCK);
	assert_int_equal(a->group, 0);
}

static void test_ended_main_thread_is_no_waker(void **state)
{
	struct model *m = *state;
	struct task *main_task = add_task(m, STATE_ENDED);
	struct task *a = add_mutex_waiter(m, 0x10);

	own(a, main_task);
	prove(m);
	assert_stuck(a, REASON_OWNER_ENDED);
	assert_int_equal(main_task->verdict, VERDICT_NONE);
}

/* Whatever is not certain about an owner or an object keeps the waiter live. */
static void test_uncertain_owners_are_live(void **state)
{
	struct model *m = *state;
	struct task *unknown = add_mutex_waiter(m, 0x10), *foreign = add_mutex_waiter(m, 0x20);
	struct task *shared = add_mutex_waiter(m, 0x30), *none = add_mutex_waiter(m, 0x40);

	unknown->wait->object->owner_state = OWNER_UNKNOWN;
	foreign->wait->object->owner_state = OWNER_FOREIGN;
	shared->wait->object->owner_state = OWNER_ENDED;
	shared->wait->object->live_because = "shared";
	none->wait->object = NULL;
	prove(m);
	assert_live(unknown);
	assert_live(foreign);
	assert_live(shared);
	assert_live(none);
}

static void test_chain_to_a_live_owner_is_live(void **state)
{
	struct model *m = *state;
	struct task *owner = add_task(m, STATE_IO);
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	own(b, a);
	own(a, owner);
	prove(m);
	assert_live(a);
	assert_live(b);
	assert_ptr_equal(b->chain_next, a);
}

static void test_all_asleep(void **state)
{
	struct model *m = *state;
	struct task *joiner = add_waiter(m, OP_JOIN, OBJECT_THREAD, 0x100);
	struct task *a = add_waiter(m, OP_COND_WAIT, OBJECT_COND, 0x10);
	struct task *b = add_waiter(m, OP_SEM_WAIT, OBJECT_SEMAPHORE, 0x20);

	own(joiner, a);
	prove(m);
	assert_stuck(a, REASON_ALL_ASLEEP);
	assert_stuck(b, REASON_ALL_ASLEEP);
	assert_stuck(joiner, REASON_OWNER_STUCK);
	assert_int_equal(m->proof, PROOF_FULL);
}

static void test_one_live_task_reaches_every_shared_object(void **state)
{
	struct model *m = *state;
	struct task *joiner = add_waiter(m, OP_JOIN, OBJECT_THREAD, 0x100);
	struct task *a = add_waiter(m, OP_COND_WAIT, OBJECT_COND, 0x10);

	add_task(m, STATE_SLEEPING);
	own(joiner, a);
	prove(m);
	assert_live(a);
	assert_live(joiner);
	assert_int_equal(m->proof, PROOF_OWNERS);
}

static void test_a_handler_reaches_every_shared_object(void **state)
{
	struct model *m = *state;
	struct task *a = add_waiter(m, OP_COND_WAIT, OBJECT_COND, 0x10);
	struct task *b = add_mutex_waiter(m, 0x20);

	own(b, b);
	assert_non_null(model_add_pseudo(m, "the handler of SIGUSR1"));
	prove(m);
	assert_live(a);
	assert_stuck(b, REASON_SELF); /* an owned lock is the owner's to give */
}

static void test_a_handler_interrupts_semaphores_and_futexes(void **state)
{
	struct model *m = *state;
	struct task *a = add_waiter(m, OP_SEM_WAIT, OBJECT_SEMAPHORE, 0x10);

	a->wait->interruptible = true;
	a->handled_signals = 1;
	prove(m);
	assert_live(a);
}

static void test_handlers_that_leave_end_any_wait(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	own(a, a);
	own(b, b);
	a->handled_signals = 1;
	a->handler_leaves = true;
	prove(m);
	assert_live(a);
	assert_stuck(b, REASON_SELF); /* no handler runs in this one */
}

static void test_withheld_shared_waits_are_live(void **state)
{
	struct model *m = *state;
	struct task *a = add_waiter(m, OP_FUTEX_WAIT, OBJECT_FUTEX, 0x10);

	m->shared_withheld = "unknown";
	prove(m);
	assert_live(a);
	assert_int_equal(m->proof, PROOF_OWNERS);
}

static void test_a_live_task_may_cancel_a_join_cycle(void **state)
{
	struct model *m = *state;
	struct task *a = add_waiter(m, OP_JOIN, OBJECT_THREAD, 0x100);
	struct task *b = add_waiter(m, OP_JOIN, OBJECT_THREAD, 0x200);
	struct task *c = add_mutex_waiter(m, 0x30);

	own(a, b);
	own(b, a);
	own(c, c);
	a->wait->cancellation_point = b->wait->cancellation_point = true;
	m->cancels = true;
	prove(m);
	assert_stuck(a, REASON_CYCLE); /* nobody is live: nobody cancels */
	add_task(m, STATE_RUNNING);
	prove(m);
	assert_live(a);
	assert_live(b);
	assert_stuck(c, REASON_SELF); /* a mutex is no cancellation point … */
	m->cancels_async = true;
	prove(m);
	assert_live(c); /* … but asynchronous cancellation needs none */
}

static void test_running_and_pending_tasks_are_live(void **state)
{
	struct model *m = *state;
	struct task *pending = add_mutex_waiter(m, 0x10);
	struct task *inside_libc = add_waiter(m, OP_OTHER, OBJECT_OTHER, 0x20);

	own(pending, pending);
	pending->live_because = "a signal is on its way to it";
	prove(m);
	assert_live(pending);
	assert_live(inside_libc);
}

static void test_runtime_tasks_are_never_findings(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10);

	own(a, a);
	a->system = true;
	prove(m);
	assert_int_equal(a->verdict, VERDICT_NONE);
}

static void test_proving_twice_gives_the_same(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	own(a, b);
	own(b, a);
	prove(m);
	prove(m);
	assert_stuck(a, REASON_CYCLE);
	assert_int_equal(a->group, 1);
	assert_int_equal(b->group, 1);
}

static void test_long_chains_end(void **state)
{
	enum { N = 20000 };
	struct model *m = *state;
	struct task *before = add_mutex_waiter(m, 8), *first = before;

	for (uint64_t i = 2; i <= N; i++) {
		struct task *t = add_mutex_waiter(m, 8 * i);

		own(before, t);
		before = t;
	}
	before->wait->object->owner_state = OWNER_ENDED;
	prove(m);
	assert_stuck(first, REASON_OWNER_STUCK);
	assert_stuck(before, REASON_OWNER_ENDED);
}

/* Let `waiter`'s rwlock be held for reading by these, all of them known. */
static void hold(struct model *m, struct task *waiter, struct task *a, struct task *b)
{
	struct object *o = waiter->wait->object;

	o->holders = model_alloc(m, 2 * sizeof(*o->holders));
	o->holders[0] = a;
	o->holders[1] = b;
	o->holder_count = b ? 2 : 1;
}

static struct task *add_writer(struct model *m, uint64_t address)
{
	return add_waiter(m, OP_RWLOCK_WRLOCK, OBJECT_RWLOCK, address);
}

static void test_readers_are_owners_if_all_are_known(void **state)
{
	struct model *m = *state;
	struct task *main_task = add_task(m, STATE_SLEEPING), *ended = add_task(m, STATE_ENDED);
	struct task *w = add_writer(m, 0x10), *known = add_writer(m, 0x20);
	struct task *behind = add_mutex_waiter(m, 0x30), *mixed = add_writer(m, 0x40);

	hold(m, known, ended, NULL);
	own(behind, known);
	hold(m, mixed, ended, behind);
	prove(m);
	assert_live(main_task);
	assert_live(w); /* readers unknown: main may be one */
	assert_stuck(known, REASON_OWNER_ENDED);
	assert_null(known->chain_next);
	assert_stuck(behind, REASON_OWNER_STUCK);
	assert_stuck(mixed, REASON_OWNER_STUCK);
	assert_ptr_equal(mixed->chain_next, behind);
}

static void test_one_live_reader_is_enough(void **state)
{
	struct model *m = *state;
	struct task *reader = add_task(m, STATE_SLEEPING), *ended = add_task(m, STATE_ENDED);
	struct task *w = add_writer(m, 0x10), *next = add_writer(m, 0x20);

	hold(m, w, ended, reader);
	hold(m, next, w, ended); /* through a chain of such locks, in any order */
	prove(m);
	assert_live(w);
	assert_live(next);
	assert_ptr_equal(w->chain_next, reader);
	assert_ptr_equal(next->chain_next, w);
}

static void test_cycles_through_readers(void **state)
{
	struct model *m = *state;
	struct task *main_task = add_task(m, STATE_SLEEPING);
	struct task *a = add_writer(m, 0x10), *b = add_writer(m, 0x20), *self = add_writer(m, 0x30);
	struct task *behind = add_writer(m, 0x40);

	hold(m, a, b, NULL);
	hold(m, b, a, NULL);
	hold(m, self, self, NULL);
	hold(m, behind, self, NULL);
	prove(m);
	assert_live(main_task);
	assert_stuck(a, REASON_CYCLE);
	assert_stuck(b, REASON_CYCLE);
	assert_int_equal(a->group, b->group);
	assert_stuck(self, REASON_SELF);
	assert_stuck(behind, REASON_OWNER_STUCK);
}

/* A reader that waits behind a writer goes on when the writer gives up. */
static void test_a_reader_behind_a_writer(void **state)
{
	struct model *m = *state;
	struct task *ended = add_task(m, STATE_ENDED), *w = add_writer(m, 0x10);
	struct task *r = add_waiter(m, OP_RWLOCK_RDLOCK, OBJECT_RWLOCK, 0x10);

	hold(m, w, ended, NULL);
	prove(m);
	assert_stuck(r, REASON_OWNER_ENDED);
	w->wait->has_deadline = true;
	prove(m);
	assert_live(w);
	assert_live(r);
	w->wait->has_deadline = false;
	w->live_because = "it could not be stopped";
	prove(m);
	assert_live(r);
}

static void test_alive_is_what_is_left_at_the_exit(void **state)
{
	struct model *m = *state;
	struct task *main_task = add_task(m, STATE_BLOCKED), *exits = add_task(m, STATE_RUNNING);
	struct task *runs = add_task(m, STATE_RUNNING), *stuck = add_mutex_waiter(m, 0x10);
	struct task *ending = add_task(m, STATE_RUNNING), *ended = add_task(m, STATE_ENDED);
	struct task *unjoined = add_task(m, STATE_ENDED), *runtime = add_task(m, STATE_SLEEPING);

	main_task->main = exits->ends_process = ending->ending = unjoined->ended_unjoined = true;
	runtime->system = true;
	own(stuck, stuck);
	prove(m);
	assert_int_equal(runs->verdict, VERDICT_NONE);
	assert_int_equal(unjoined->verdict, VERDICT_NONE);
	m->moment = MOMENT_EXIT;
	prove(m);
	assert_int_equal(main_task->verdict, VERDICT_NONE);
	assert_int_equal(exits->verdict, VERDICT_NONE);
	assert_true(exits->live);
	assert_int_equal(runs->verdict, VERDICT_ALIVE);
	assert_stuck(stuck, REASON_SELF);
	assert_int_equal(ending->verdict, VERDICT_NONE);
	assert_int_equal(ended->verdict, VERDICT_NONE);
	assert_int_equal(unjoined->verdict, VERDICT_UNJOINED);
	assert_int_equal(runtime->verdict, VERDICT_NONE);
}

/* What lies in main's frame is out of reach once main has returned, unless somebody else may know
 * it; T3 hangs on T2. */
static void test_main_has_returned(void **state)
{
	struct model *m = *state;
	struct task *main_task = add_task(m, STATE_RUNNING), *other;
	struct task *a = add_waiter(m, OP_COND_WAIT, OBJECT_COND, 0x10);
	struct task *b = add_mutex_waiter(m, 0x20);

	main_task->main = main_task->ends_process = true;
	a->wait->object->in_main_frame = true;
	own(b, a);
	m->moment = MOMENT_EXIT;
	prove(m);
	assert_int_equal(a->verdict, VERDICT_ALIVE);
	assert_int_equal(a->reason, REASON_MAIN_RETURNED);
	assert_int_equal(b->reason, REASON_MAIN_RETURNED);
	a->wait->object->in_main_frame = false;
	prove(m);
	assert_int_equal(a->reason, REASON_NONE);
	a->wait->object->in_main_frame = true;
	other = add_waiter(m, OP_COND_WAIT, OBJECT_COND, 0x30); /* a global: live by main's doing */
	prove(m);
	assert_int_equal(other->verdict, VERDICT_ALIVE);
	assert_int_equal(other->reason, REASON_NONE);
	assert_int_equal(a->reason, REASON_NONE);
	assert_int_equal(b->verdict, VERDICT_ALIVE);
}

/* Whoever ends the process goes on, whatever it seems to wait for: nothing hangs for ever on it. */
static void test_who_ends_the_process_is_live(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10), *b = add_mutex_waiter(m, 0x20);

	own(a, b);
	own(b, a);
	m->moment = MOMENT_EXIT;
	a->ends_process = true;
	prove(m);
	assert_int_equal(a->verdict, VERDICT_NONE);
	assert_int_equal(b->verdict, VERDICT_ALIVE);
}

static void test_nothing_is_proved_of_the_dead(void **state)
{
	struct model *m = *state;
	struct task *a = add_mutex_waiter(m, 0x10), *unjoined = add_task(m, STATE_ENDED);
	struct task *runs = add_task(m, STATE_RUNNING);

	own(a, a);
	unjoined->ended_unjoined = true;
	m->moment = MOMENT_KILLED;
	model_number_tasks(m);
	prove_nothing(m);
	assert_int_equal(a->verdict, VERDICT_NONE);
	assert_int_equal(runs->verdict, VERDICT_NONE);
	assert_int_equal(unjoined->verdict, VERDICT_UNJOINED);
	assert_false(a->live);
	assert_int_equal(m->proof, PROOF_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_mutexes_in_a_cycle),
		TEST(test_two_cycles_have_two_groups),
		TEST(test_cycle_with_a_deadline_is_live),
		TEST(test_self),
		TEST(test_owner_ended_and_who_waits_behind),
		TEST(test_heirs_of_forked_locks),
		TEST(test_ended_main_thread_is_no_waker),
		TEST(test_uncertain_owners_are_live),
		TEST(test_chain_to_a_live_owner_is_live),
		TEST(test_all_asleep),
		TEST(test_one_live_task_reaches_every_shared_object),
		TEST(test_a_handler_reaches_every_shared_object),
		TEST(test_a_handler_interrupts_semaphores_and_futexes),
		TEST(test_handlers_that_leave_end_any_wait),
		TEST(test_withheld_shared_waits_are_live),
		TEST(test_a_live_task_may_cancel_a_join_cycle),
		TEST(test_running_and_pending_tasks_are_live),
		TEST(test_runtime_tasks_are_never_findings),
		TEST(test_proving_twice_gives_the_same),
		TEST(test_long_chains_end),
		TEST(test_readers_are_owners_if_all_are_known),
		TEST(test_one_live_reader_is_enough),
		TEST(test_cycles_through_readers),
		TEST(test_a_reader_behind_a_writer),
		TEST(test_alive_is_what_is_left_at_the_exit),
		TEST(test_main_has_returned),
		TEST(test_who_ends_the_process_is_live),
		TEST(test_nothing_is_proved_of_the_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
