/* SPDX-License-Identifier: MIT */
/*
 * What a table adds to a model: who the threads are, what their records say of their waits; each
 * with the case in which it must not be believed.
 */
#include <string.h>

#include "build_crew.h"
#include "unit.h"

/* -- who ---------------------------------------------------------------------------------------- */

static void test_numbers_names_creators(void **state)
{
	static const uint64_t pcs[] = { 0x401000, 0x402000 };
	struct crew *f = *state;
	struct task *late = build_task(f->m, "late");

	f->r[2]->number = 17;
	f->r[2]->parent = 9;
	memcpy(f->r[1]->name, "a-name-of-16-byt", WIRE_NAME);
	f->r[1]->birth_ns = (uint64_t)CREW_NOW - 5 * MS;
	f->r[1]->creator_stack = build_record_stack(f->b, pcs, 2);
	f->r[1]->start = 0x405000;
	f->r[3]->birth_ns = (uint64_t)CREW_NOW + 1;
	f->r[3]->flags = WIRE_TASK_FOUND;
	build_header(f->b)->tasks_born = 30;
	crew_enrich(f);
	assert_string_equal(f->t[0]->id, "T1");
	assert_string_equal(f->t[1]->id, "T2");
	assert_string_equal(f->t[2]->id, "T17");
	assert_string_equal(f->t[3]->id, "T4");
	assert_string_equal(late->id, "T31");
	assert_string_equal(f->t[1]->name, "a-name-of-16-byt");
	assert_string_equal(f->t[0]->name, "shop");
	assert_ptr_equal(f->t[1]->parent, f->t[0]);
	assert_null(f->t[0]->parent);
	assert_null(f->t[2]->parent);
	assert_int_equal(f->t[2]->parent_number, 9);
	assert_int_equal(f->t[3]->parent_number, 0);
	assert_int_equal(f->t[1]->born_ns, 5 * MS);
	assert_int_equal(f->t[3]->born_ns, TIME_UNKNOWN);
	assert_int_equal(f->t[1]->created_by->n, 2);
	assert_int_equal(f->t[1]->created_by->v[1].address, 0x402000);
	assert_true(f->t[1]->created_by->complete);
	assert_int_equal(f->t[1]->start->v[0].address, 0x405000);
	assert_null(late->created_by);
	assert_int_equal(f->m->lost, 0);
}

static void test_a_process_without_records(void **state)
{
	struct crew *f = *state;

	memset(f->r[0], 0, sizeof(*f->r[0]));
	memset(f->r[1], 0, sizeof(*f->r[1]));
	crew_enrich(f);
	assert_string_equal(f->t[0]->id, "T1");
	assert_string_equal(f->t[1]->id, "T5");
	assert_string_equal(f->t[2]->id, "T3");
}

/* Threads that have not begun: theirs are the records that nobody has taken, if they are as many. */
static void test_threads_that_have_not_begun(void **state)
{
	struct crew *f = *state;
	struct task *late[2] = { build_task(f->m, NULL), build_task(f->m, NULL) };
	struct wire_task *r[3];
	struct table_copy *c;

	for (size_t i = 0; i < 3; i++) {
		r[i] = build_record(f->b, 7 + i, 0, 2);
		r[i]->state = WIRE_TASK_BORN;
	}
	c = build_table_copy(f->b);
	assert_int_equal(table_enrich_tasks(c, CREW_NOW, f->stacks, f->m), 0);
	table_copy_free(c);
	assert_false(late[0]->recorded);
	assert_string_equal(late[0]->id, "T10");
	r[1]->state = WIRE_TASK_CLAIMED;
	late[0]->number = late[1]->number = 0;
	crew_enrich(f);
	assert_string_equal(late[0]->id, "T7");
	assert_string_equal(late[1]->id, "T9");
	assert_ptr_equal(late[1]->parent, f->t[1]);
	assert_int_equal(f->m->task_count, 6);
}

/* A thread that has a descriptor, and no record in it, is another's: of those that nobody records. */
static void test_a_stranger_beside_a_birth(void **state)
{
	struct crew *f = *state;
	struct task *stranger = build_task(f->m, NULL);

	stranger->handle = 0x9000;
	build_record(f->b, 7, 0, 2)->state = WIRE_TASK_BORN;
	crew_enrich(f);
	assert_false(stranger->recorded);
	assert_null(stranger->parent);
}

static void test_losses_are_said(void **state)
{
	struct crew *f = *state;

	build_header(f->b)->lost_tasks = 3;
	build_header(f->b)->lost_stacks = 1;
	crew_enrich(f);
	assert_int_equal(f->m->lost, 4);
	assert_int_equal(f->m->note_count, 2);
	assert_string_equal(f->m->notes[0], "3 threads were not recorded: the table was full");
	assert_string_equal(f->m->notes[1], "1 creator stack was not recorded: the table was full");
}

static bool is_of(struct crew *f, uint64_t start_ticks)
{
	struct table_copy *c = build_table_copy(f->b);
	bool yes = table_copy_is_of(c, start_ticks, f->t[0]);

	table_copy_free(c);
	return yes;
}

static void test_whose_table_it_is(void **state)
{
	struct crew *f = *state;
	struct wire_table *h = build_header(f->b);

	h->start_ticks = 55;
	assert_true(is_of(f, 55));
	assert_false(is_of(f, 56));
	h->pid = 4712;
	assert_false(is_of(f, 55));
	h->pid = 4711;
	h->flags = WIRE_TABLE_REPLACED;
	assert_false(is_of(f, 55));
	h->flags = 0;
	f->r[0]->handle = 0x77;
	assert_false(is_of(f, 55));
	f->t[0]->handle = 0; /* it has ended before the others */
	assert_true(is_of(f, 55));
}

/* -- waits -------------------------------------------------------------------------------------- */

static void test_since_when(void **state)
{
	struct crew *f = *state;
	struct wait *w[4];

	w[0] = build_wait(f->m, f->t[0], OP_COND_WAIT, build_object(f->m, OBJECT_COND, 0x50, NULL));
	w[1] = build_wait(f->m, f->t[1], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[0]));
	w[2] = build_wait(f->m, f->t[2], OP_SEM_WAIT,
			  build_object(f->m, OBJECT_SEMAPHORE, 0x70, NULL));
	w[3] = build_wait(f->m, f->t[3], OP_OTHER, build_object(f->m, OBJECT_OTHER, 0x88, NULL));
	build_record_wait(f->r[0], WIRE_OP_COND_WAIT, 0x50, (uint64_t)CREW_NOW - 7 * MS);
	f->r[0]->wait.second = 0x90;
	build_record_wait(f->r[1], WIRE_OP_MUTEX_LOCK, 0x60, (uint64_t)CREW_NOW - 8 * MS);
	build_record_wait(f->r[2], WIRE_OP_SEM_WAIT, 0x70, (uint64_t)CREW_NOW + 1);
	build_record_wait(f->r[3], WIRE_OP_BARRIER_WAIT, 0x80, (uint64_t)CREW_NOW - 9 * MS);
	crew_enrich(f);
	assert_int_equal(w[0]->since_ns, 7 * MS);
	assert_int_equal(w[0]->second->address, 0x90);
	assert_int_equal(w[1]->since_ns, 8 * MS);
	assert_null(w[1]->second);
	assert_int_equal(w[2]->since_ns, TIME_UNKNOWN);
	assert_int_equal(w[3]->since_ns, 9 * MS);
	assert_int_equal(w[3]->op, OP_OTHER);
}

/* The kernel's view wins: nothing of a record that says otherwise is used. */
static void test_records_that_disagree(void **state)
{
	struct crew *f = *state;
	struct wait *w[3];

	w[0] = build_wait(f->m, f->t[0], OP_MUTEX_LOCK, build_mutex(f->m, 0x90, NULL, f->t[1]));
	w[1] = build_wait(f->m, f->t[1], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[0]));
	w[2] = build_wait(f->m, f->t[2], OP_SEM_WAIT,
			  build_object(f->m, OBJECT_SEMAPHORE, 0x70, NULL));
	build_record_wait(f->r[0], WIRE_OP_COND_WAIT, 0x50, 1);
	f->r[0]->wait.second = 0x98;
	f->r[0]->wait.flags = WIRE_WAIT_DEADLINE;
	build_record_wait(f->r[1], WIRE_OP_MUTEX_LOCK, 0x68, 1);
	build_record_wait(f->r[2], WIRE_OP_SEM_WAIT, 0x70, 1);
	f->r[2]->wait.sequence++;
	build_record_wait(f->r[3], WIRE_OP_SEM_WAIT, 0x70, 1);
	crew_enrich(f);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(w[i]->since_ns, TIME_UNKNOWN);
		assert_null(w[i]->second);
		assert_false(w[i]->has_deadline);
	}
	assert_null(f->t[3]->wait);
	assert_int_equal(f->t[3]->state, STATE_RUNNING);
}

/* Woken, and locking the mutex again: in the call since then, but the cond's deadline does not end
 * this. */
static void test_a_cond_that_locks_its_mutex_again(void **state)
{
	struct crew *f = *state;
	struct wait *w =
		build_wait(f->m, f->t[0], OP_MUTEX_LOCK, build_mutex(f->m, 0x90, NULL, f->t[1]));

	build_record_wait(f->r[0], WIRE_OP_COND_WAIT, 0x50, (uint64_t)CREW_NOW - MS);
	f->r[0]->wait.second = 0x90;
	f->r[0]->wait.flags = WIRE_WAIT_DEADLINE;
	crew_enrich(f);
	assert_int_equal(w->since_ns, MS);
	assert_false(w->has_deadline);
	assert_null(w->second);
}

static void test_a_recorded_deadline(void **state)
{
	struct crew *f = *state;
	struct wait *w =
		build_wait(f->m, f->t[1], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[1]));

	build_record_wait(f->r[1], WIRE_OP_MUTEX_LOCK, 0x60, (uint64_t)CREW_NOW - MS);
	f->r[1]->wait.flags = WIRE_WAIT_DEADLINE;
	f->r[1]->wait.deadline_ns = (uint64_t)CREW_NOW + 3 * MS;
	crew_judge(f);
	assert_true(w->has_deadline);
	assert_int_equal(w->deadline_left_ns, 3 * MS);
	assert_int_equal(f->t[1]->verdict, VERDICT_NONE);
}

static bool interrupts(struct crew *f, uint64_t restarting, uint64_t interrupting)
{
	struct wait *w = build_wait(f->m, f->t[1], OP_SEM_WAIT,
				    build_object(f->m, OBJECT_SEMAPHORE, 0x70, NULL));

	w->interruptible = true;
	f->t[1]->handled_signals = 1 << 9;
	build_header(f->b)->restarting_signals = restarting;
	build_header(f->b)->interrupting_signals = interrupting;
	crew_enrich(f);
	return w->interruptible;
}

static void test_handlers_that_restart(void **state)
{
	assert_false(interrupts(*state, 1 << 9, 0));
	assert_true(interrupts(*state, 1 << 9, 1 << 9));
	assert_true(interrupts(*state, 0, 0));
	assert_true(interrupts(*state, 1 << 8, 0));
}

/* A lock whose owner is gone: by name if its record is still there. */
static void test_an_owner_that_has_ended(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);
	struct object *o = build_mutex(f->m, 0x60, "m", NULL), *lost;

	build_record_ended(r);
	o->owner_state = OWNER_ENDED;
	o->owner_tid = 4800;
	lost = build_mutex(f->m, 0x70, "n", NULL);
	lost->owner_state = OWNER_ENDED;
	lost->owner_tid = 4801;
	build_wait(f->m, f->t[1], OP_MUTEX_LOCK, o);
	build_wait(f->m, f->t[2], OP_MUTEX_LOCK, lost);
	crew_judge(f);
	assert_int_equal(f->t[1]->reason, REASON_OWNER_ENDED);
	crew_check_line(f->t[1], "T2 waits for mutex 0x60 `m`, held by T5, which has ended");
	crew_check_line(f->t[2],
			"T3 waits for mutex 0x70 `n`, held by a thread that has ended (tid 4801)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build_crew, free_crew)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_numbers_names_creators),
		TEST(test_a_process_without_records),
		TEST(test_threads_that_have_not_begun),
		TEST(test_a_stranger_beside_a_birth),
		TEST(test_losses_are_said),
		TEST(test_whose_table_it_is),
		TEST(test_since_when),
		TEST(test_records_that_disagree),
		TEST(test_a_cond_that_locks_its_mutex_again),
		TEST(test_a_recorded_deadline),
		TEST(test_handlers_that_restart),
		TEST(test_an_owner_that_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
