/* SPDX-License-Identifier: MIT */
/*
 * The end of a process by its table: who is alive and who unjoined, who has ended since, the model
 * of one that is no more, and what damaged tables do to all that (nothing).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "look.h"
#include "prove/findings.h"
#include "prove/prove.h"
#include "build_crew.h"
#include "unit.h"

/* -- the end ------------------------------------------------------------------------------------ */

static struct task *find_task(const struct model *m, const char *id)
{
	for (size_t i = 0; i < m->task_count; i++)
		if (!strcmp(m->tasks[i]->id, id))
			return m->tasks[i];
	return NULL;
}

static void test_unjoined(void **state)
{
	struct crew *f = *state;
	struct finding *left;

	crew_add_ended(f);
	crew_exits(f, 0);
	crew_judge(f);
	assert_int_equal(f->m->task_count, 6);
	assert_int_equal(find_task(f->m, "T5")->verdict, VERDICT_UNJOINED);
	assert_int_equal(find_task(f->m, "T8")->verdict, VERDICT_NONE);
	crew_check_line(find_task(f->m, "T5"), "T5 has ended, and nobody has joined it");
	crew_check_line(find_task(f->m, "T8"), "T8 has ended");
	left = f->m->findings[f->m->finding_count - 1];
	assert_int_equal(left->verdict, VERDICT_UNJOINED);
	assert_int_equal(left->count, 1);
}

static void test_unjoined_is_a_verdict_at_the_end_only(void **state)
{
	struct crew *f = *state;

	crew_add_ended(f);
	crew_judge(f);
	assert_int_equal(f->m->finding_count, 0);
	assert_int_equal(find_task(f->m, "T5")->state, STATE_ENDED);
	assert_true(find_task(f->m, "T5")->ended_unjoined);
}

static void test_alive(void **state)
{
	struct crew *f = *state;

	build_wait(f->m, f->t[1], OP_COND_WAIT, build_object(f->m, OBJECT_COND, 0x50, NULL));
	build_wait(f->m, f->t[2], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[2]));
	build_record_ended(f->r[3]); /* but its destructors still run */
	crew_exits(f, 0);
	crew_judge(f);
	assert_true(f->t[0]->ends_process);
	assert_true(f->t[0]->live);
	crew_check_line(f->t[0], "T1 ends the process");
	assert_int_equal(f->t[0]->verdict, VERDICT_NONE);
	assert_int_equal(f->t[1]->verdict, VERDICT_ALIVE);
	assert_int_equal(f->t[1]->reason, REASON_NONE);
	assert_int_equal(f->t[2]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[3]->verdict, VERDICT_NONE);
}

/* Another thread calls exit: it is not alive, nor is main, which waits for it. */
static void test_neither_main_nor_who_exits_is_alive(void **state)
{
	struct crew *f = *state;
	struct object *thread = build_object(f->m, OBJECT_THREAD, 0x3000, NULL);

	thread->owner_state = OWNER_TASK;
	thread->owner = f->t[2];
	build_wait(f->m, f->t[0], OP_JOIN, thread);
	crew_exits(f, 2);
	crew_judge(f);
	assert_int_equal(f->t[0]->verdict, VERDICT_NONE);
	assert_true(f->t[0]->live);
	assert_int_equal(f->t[1]->verdict, VERDICT_ALIVE);
	assert_int_equal(f->t[2]->verdict, VERDICT_NONE);
	assert_int_equal(f->t[3]->verdict, VERDICT_ALIVE);
}

static void test_nobody_is_alive_while_it_goes_on(void **state)
{
	struct crew *f = *state;

	crew_judge(f);
	assert_int_equal(f->m->finding_count, 0);
}

static void test_what_has_ended_since_the_exit(void **state)
{
	struct crew *f = *state;
	struct err e = { 0 };
	struct table *t;

	crew_add_ended(f);
	f->r[3]->wait.sequence++;
	crew_exits(f, 0);
	crew_judge(f);
	assert_int_equal(f->m->task_count, 6);
	assert_int_equal(f->m->finding_count, 2); /* alive: T2 to T4; unjoined: T5, T8 */
	assert_int_equal(f->m->findings[0]->count, 3);
	assert_int_equal(f->m->findings[1]->count, 2);
	t = build_table_open(f->b);
	assert_int_equal(look_drop_ended(f->m, t, &e), 0);
	assert_int_equal(f->m->task_count, 6);
	table_close(t);
	build_record_ended(f->r[1]);
	f->r[1]->flags |= WIRE_TASK_DETACHED;
	f->r[2]->state = WIRE_TASK_FREE;
	find_task(f->m, "T5")->name = "stays";
	for (size_t i = 4; i < 8; i++)
		if (f->r[0][i].number == 8)
			f->r[0][i].flags = WIRE_TASK_JOINED;
	t = build_table_open(f->b);
	assert_int_equal(look_drop_ended(f->m, t, &e), 0);
	table_close(t);
	assert_int_equal(f->m->task_count, 3);
	assert_int_equal(f->m->finding_count, 2);
	assert_int_equal(f->m->findings[0]->count, 1);
	assert_ptr_equal(f->m->findings[0]->tasks[0], f->t[3]);
	assert_string_equal(f->m->findings[1]->tasks[0]->id, "T5");
}

/* Alive at the look, finished by the end, and nobody has joined it. */
static void test_what_finishes_after_the_look_is_unjoined(void **state)
{
	struct crew *f = *state;
	struct err e = { 0 };
	struct table *t;

	crew_add_ended(f);
	crew_exits(f, 0);
	crew_judge(f);
	build_record_ended(f->r[1]);
	t = build_table_open(f->b);
	assert_int_equal(look_drop_ended(f->m, t, &e), 0);
	table_close(t);
	assert_int_equal(find_task(f->m, "T2")->verdict, VERDICT_UNJOINED);
	assert_int_equal(find_task(f->m, "T2")->state, STATE_ENDED);
	assert_null(find_task(f->m, "T2")->wait);
}

/* -- only the table is left --------------------------------------------------------------------- */

static void test_a_process_that_is_no_more(void **state)
{
	struct crew *f = *state;
	struct err e = { 0 };
	struct table *t;
	struct model *m;

	crew_add_ended(f);
	build_record_wait(f->r[1], WIRE_OP_MUTEX_LOCK, 0x60, 1);
	f->r[1]->wait.context.ip = 0x401234;
	build_record_wait(f->r[3], WIRE_OP_JOIN, 0x3000, 1);
	f->r[0]->wait.sequence = 1;
	f->r[0]->wait.op = 4000;
	build_record_module(f->b, "/proc/self/exe", 0);
	t = build_table_open(f->b);
	assert_int_equal(look_at_dead(99, t, &m, &e), 0);
	table_close(t);
	assert_int_equal(m->pid, 99);
	assert_string_equal(m->exe, "/srv/shop");
	assert_int_equal(m->moment, MOMENT_KILLED);
	assert_int_equal(m->proof, PROOF_NONE);
	assert_int_equal(m->task_count, 6);
	assert_null(m->tasks[0]->wait);
	assert_int_equal(m->tasks[1]->wait->op, OP_MUTEX_LOCK);
	assert_int_equal(m->tasks[1]->wait->object->owner_state, OWNER_UNKNOWN);
	assert_int_equal(m->tasks[1]->stack->v[0].address, 0x401234);
	assert_true(m->tasks[1]->wait->since_ns > 0);
	assert_ptr_equal(m->tasks[3]->wait->object->owner, m->tasks[2]);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(m->tasks[i]->verdict, VERDICT_NONE);
	assert_int_equal(m->finding_count, 1);
	assert_int_equal(m->findings[0]->verdict, VERDICT_UNJOINED);
	assert_int_equal(m->findings[0]->count, 2);
	assert_int_equal(m->module_count, 1);
	assert_int_not_equal(m->note_count, 0);
	model_free(m);
}

/* -- damage ------------------------------------------------------------------------------------- */

static void report(const struct model *m)
{
	free(build_report(m, "json", 100, true));
	free(build_report(m, "text", 100, true));
}

/* Whatever a table says, a model can be made, judged and written. */
static void try_damaged(struct crew *f)
{
	struct err e = { 0 };
	struct table *t;
	struct table_copy *c;
	struct model *dead = NULL;

	build_table_write(f->b, f->b->size);
	if (table_open(f->b->path, false, &t, &e))
		return;
	if (!look_at_dead(4711, t, &dead, &e))
		report(dead);
	model_free(dead);
	if (!table_copy_take(t, &c, &e)) {
		table_copy_is_of(c, 55, f->t[0]);
		assert_int_equal(table_enrich_tasks(c, CREW_NOW, f->stacks, f->m), 0);
		assert_int_equal(table_enrich_waits(c, CREW_NOW, f->stacks, f->m), 0);
		table_copy_free(c);
		assert_int_equal(prove_tasks(f->m, NULL), 0);
		assert_int_equal(findings_make(f->m), 0);
		report(f->m);
		look_drop_ended(f->m, t, &e);
	}
	table_close(t);
}

static void block_all(struct crew *f)
{
	build_wait(f->m, f->t[0], OP_RWLOCK_RDLOCK, build_object(f->m, OBJECT_RWLOCK, 0xa0, NULL));
	crew_want_to_write(f, 1 + (uint32_t)f->b->tasks % 3);
	build_wait(f->m, f->t[2], OP_COND_WAIT, build_object(f->m, OBJECT_COND, 0x50, NULL));
	build_record_wait(f->r[2], WIRE_OP_COND_WAIT, 0x50, 5);
	for (size_t i = 0; i < 4; i++)
		crew_hold(f->r[i], 0xa0, 1);
}

static void test_damaged_tables(void **unused)
{
	unsigned seed = 7;

	(void)unused;
	for (int round = 0; round < 400; round++) {
		struct crew *f;
		void *state;

		assert_int_equal(build_crew(&state), 0);
		f = state;
		crew_add_ended(f);
		block_all(f);
		crew_exits(f, (size_t)round % 4);
		for (int k = 0; k < 30; k++) {
			size_t at =
				offsetof(struct wire_table, flags) + (size_t)rand_r(&seed) % 140;

			if (k > 1)
				at = 8192 + (size_t)rand_r(&seed) % (8 * sizeof(struct wire_task));
			f->b->bytes[at] = (uint8_t)(k % 3 ? rand_r(&seed) : k % 2);
		}
		try_damaged(f);
		free_crew(&state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build_crew, free_crew)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unjoined),
		TEST(test_unjoined_is_a_verdict_at_the_end_only),
		TEST(test_alive),
		TEST(test_neither_main_nor_who_exits_is_alive),
		TEST(test_nobody_is_alive_while_it_goes_on),
		TEST(test_what_has_ended_since_the_exit),
		TEST(test_what_finishes_after_the_look_is_unjoined),
		TEST(test_a_process_that_is_no_more),
		cmocka_unit_test(test_damaged_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
