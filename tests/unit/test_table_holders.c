/* SPDX-License-Identifier: MIT */
/*
 * Who holds an rwlock for reading, by the records: believed only if they add up to the lock's own
 * count and nobody can be missing.
 */
#include "build_crew.h"
#include "unit.h"

static void test_a_reader_that_has_ended(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	crew_want_to_write(f, 1);
	crew_hold(r, 0xa0, 1);
	build_record_ended(r);
	crew_judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[1]->reason, REASON_OWNER_ENDED);
	crew_check_line(f->t[1],
			"T2 waits to write-lock rwlock 0xa0 `table_lock`, held for reading by "
			"T5, which has ended");
	assert_int_equal(f->m->proof, PROOF_FULL);
}

/* Also one that was joined: its record is kept for the lock, but is no task of its own. */
static void test_a_reader_that_was_joined(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	crew_hold(r, 0xa0, 2);
	build_record_ended(r);
	r->flags = WIRE_TASK_JOINED;
	f->m->moment = MOMENT_EXIT;
	crew_judge(f);
	assert_int_equal(f->m->task_count, 4);
	crew_want_to_write(f, 2);
	crew_judge(f);
	assert_int_equal(f->t[1]->reason, REASON_OWNER_ENDED);
	assert_int_equal(f->m->task_count, 5);
	assert_int_equal(f->m->tasks[4]->verdict, VERDICT_NONE);
	assert_ptr_equal(f->m->tasks[4]->parent, f->t[0]);
}

static void assert_writer_is_live(struct crew *f)
{
	crew_judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_NONE);
	assert_true(f->t[1]->live);
}

static void test_a_reader_that_goes_on(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	crew_hold(r, 0xa0, 1);
	build_record_ended(r);
	crew_hold(f->r[2], 0xa0, 1);
	crew_want_to_write(f, 2);
	assert_writer_is_live(f);
	assert_ptr_equal(f->t[1]->chain_next, f->t[2]);
	crew_check_line(f->t[1],
			"T2 waits to write-lock rwlock 0xa0 `table_lock`, held for reading by "
			"T3 and T5 (ended)");
}

static void test_a_count_that_does_not_fit(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	crew_hold(r, 0xa0, 1);
	build_record_ended(r);
	crew_want_to_write(f, 2);
	assert_writer_is_live(f);
	assert_null(f->t[1]->wait->object->holders);
	crew_check_line(f->t[1],
			"T2 waits to write-lock rwlock 0xa0 `table_lock`, held by readers");
}

static void test_holds_that_were_lost(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	crew_hold(r, 0xa0, 1);
	build_record_ended(r);
	crew_want_to_write(f, 1);
	f->r[3]->flags = WIRE_TASK_HOLDS_LOST;
	assert_writer_is_live(f);
	f->r[3]->flags = 0;
	build_header(f->b)->lost_tasks = 1;
	assert_writer_is_live(f);
}

/* A record that was not recognised as that of a thread which is there is not of an ended one. */
static void test_a_holder_that_may_be_there(void **state)
{
	struct crew *f = *state;
	struct task *stranger = build_task(f->m, NULL);
	struct wire_task *r = build_record(f->b, 9, stranger->tid_ns, 1);

	stranger->handle = 0x9000;
	r->handle = 0x9900;
	crew_hold(r, 0xa0, 1);
	build_record_ended(r);
	crew_want_to_write(f, 1);
	assert_writer_is_live(f);
	assert_null(f->t[1]->wait->object->holders);
	assert_int_equal(f->m->task_count, 5);
}

static void test_a_reader_that_wants_to_write(void **state)
{
	struct crew *f = *state;

	crew_want_to_write(f, 1);
	crew_hold(f->r[1], 0xa0, 1);
	crew_judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[1]->reason, REASON_SELF);
}

/* T2 writes where T3 reads, T3 waits for a mutex of T2's. */
static void test_a_cycle_through_readers(void **state)
{
	struct crew *f = *state;

	crew_want_to_write(f, 1);
	crew_hold(f->r[2], 0xa0, 1);
	build_wait(f->m, f->t[2], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, "m", f->t[1]));
	crew_judge(f);
	assert_int_equal(f->t[1]->reason, REASON_CYCLE);
	assert_int_equal(f->t[2]->reason, REASON_CYCLE);
	assert_int_equal(f->t[1]->group, f->t[2]->group);
	assert_int_not_equal(f->t[1]->group, 0);
}

/* Behind a writer that may give up, a reader may go on although nobody else ever will. */
static void test_a_reader_behind_a_patient_writer(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);
	struct wait *w = crew_want_to_write(f, 1);

	crew_hold(r, 0xa0, 1);
	build_record_ended(r);
	build_wait(f->m, f->t[2], OP_RWLOCK_RDLOCK, w->object);
	crew_judge(f);
	assert_int_equal(f->t[2]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[2]->reason, REASON_OWNER_ENDED);
	w->has_deadline = true;
	crew_judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_NONE);
	assert_int_equal(f->t[2]->verdict, VERDICT_NONE);
}

/* … also behind one that is counted by the lock and does something else just now. */
static void test_a_reader_behind_an_unseen_writer(void **state)
{
	struct crew *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);
	struct wait *w = crew_want_to_write(f, 1);

	crew_hold(r, 0xa0, 1);
	build_record_ended(r);
	build_wait(f->m, f->t[2], OP_RWLOCK_RDLOCK, w->object);
	w->object->writers = 1;
	crew_judge(f);
	assert_int_equal(f->t[2]->verdict, VERDICT_STUCK);
	w->object->writers = 2;
	crew_judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[2]->verdict, VERDICT_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build_crew, free_crew)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_reader_that_has_ended),
		TEST(test_a_reader_that_was_joined),
		TEST(test_a_reader_that_goes_on),
		TEST(test_a_count_that_does_not_fit),
		TEST(test_holds_that_were_lost),
		TEST(test_a_holder_that_may_be_there),
		TEST(test_a_reader_that_wants_to_write),
		TEST(test_a_cycle_through_readers),
		TEST(test_a_reader_behind_a_patient_writer),
		TEST(test_a_reader_behind_an_unseen_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
