/* SPDX-License-Identifier: MIT */
/*
 * What a table adds to a model: who the threads are, what their records say of their waits, who
 * holds locks for reading, who has ended; each with the case in which it must not be believed. And
 * the model of a process of which only the table is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "look.h"
#include "prove/chain.h"
#include "prove/findings.h"
#include "prove/prove.h"
#include "build_model.h"
#include "build_table.h"
#include "unit.h"

#define NOW INT64_C(100000000000)
#define MS  1000000

struct fixture {
	struct build_table *b;
	struct model *m;
	struct modules *mods;
	struct stacks *stacks;
	struct task *t[4]; /* main and three more, tids from 4711 */
	struct wire_task *r[4];
};

/* Four threads with their records. */
static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = { 0 };

	*state = f;
	f->b = build_table();
	f->m = build_model();
	if (modules_open_files(NULL, 0, &f->mods, &e) || stacks_create(f->m, f->mods, &f->stacks))
		return -1;
	for (uint64_t i = 0; i < 4; i++) {
		f->t[i] = build_task(f->m, i ? NULL : "shop");
		f->t[i]->live = false;
		f->t[i]->handle = 0x1000 * (i + 1);
		f->r[i] = build_record(f->b, i + 1, f->t[i]->tid_ns, i ? 1 : 0);
		f->r[i]->handle = f->t[i]->handle;
	}
	f->t[0]->main = true;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	stacks_free(f->stacks);
	modules_close(f->mods);
	model_free(f->m);
	build_table_free(f->b);
	free(f);
	return 0;
}

static void enrich(struct fixture *f)
{
	struct table_copy *c = build_table_copy(f->b);

	assert_int_equal(table_enrich_tasks(c, NOW, f->stacks, f->m), 0);
	assert_int_equal(table_enrich_waits(c, NOW, f->stacks, f->m), 0);
	table_copy_free(c);
}

static void judge(struct fixture *f)
{
	enrich(f);
	assert_int_equal(prove_tasks(f->m), 0);
	assert_int_equal(findings_make(f->m), 0);
}

static void assert_line(const struct task *t, const char *expected)
{
	char line[CHAIN_LINE_BYTES];

	chain_describe_wait(t, line, sizeof(line));
	assert_string_equal(line, expected);
}

/* -- who ---------------------------------------------------------------------------------------- */

static void test_numbers_names_creators(void **state)
{
	static const uint64_t pcs[] = { 0x401000, 0x402000 };
	struct fixture *f = *state;
	struct task *late = build_task(f->m, "late");

	f->r[2]->number = 17;
	f->r[2]->parent = 9;
	memcpy(f->r[1]->name, "a-name-of-16-byt", WIRE_NAME);
	f->r[1]->birth_ns = (uint64_t)NOW - 5 * MS;
	f->r[1]->creator_stack = build_record_stack(f->b, pcs, 2);
	f->r[1]->start = 0x405000;
	f->r[3]->birth_ns = (uint64_t)NOW + 1;
	f->r[3]->flags = WIRE_TASK_FOUND;
	build_header(f->b)->tasks_born = 30;
	enrich(f);
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
	struct fixture *f = *state;

	memset(f->r[0], 0, sizeof(*f->r[0]));
	memset(f->r[1], 0, sizeof(*f->r[1]));
	enrich(f);
	assert_string_equal(f->t[0]->id, "T1");
	assert_string_equal(f->t[1]->id, "T5");
	assert_string_equal(f->t[2]->id, "T3");
}

/* Threads that have not begun: theirs are the records that nobody has taken, if they are as many. */
static void test_threads_that_have_not_begun(void **state)
{
	struct fixture *f = *state;
	struct task *late[2] = { build_task(f->m, NULL), build_task(f->m, NULL) };
	struct wire_task *r[3];
	struct table_copy *c;

	for (size_t i = 0; i < 3; i++) {
		r[i] = build_record(f->b, 7 + i, 0, 2);
		r[i]->state = WIRE_TASK_BORN;
	}
	c = build_table_copy(f->b);
	assert_int_equal(table_enrich_tasks(c, NOW, f->stacks, f->m), 0);
	table_copy_free(c);
	assert_false(late[0]->recorded);
	assert_string_equal(late[0]->id, "T10");
	r[1]->state = WIRE_TASK_CLAIMED;
	late[0]->number = late[1]->number = 0;
	enrich(f);
	assert_string_equal(late[0]->id, "T7");
	assert_string_equal(late[1]->id, "T9");
	assert_ptr_equal(late[1]->parent, f->t[1]);
	assert_int_equal(f->m->task_count, 6);
}

static void test_losses_are_said(void **state)
{
	struct fixture *f = *state;

	build_header(f->b)->lost_tasks = 3;
	build_header(f->b)->lost_stacks = 1;
	enrich(f);
	assert_int_equal(f->m->lost, 4);
	assert_int_equal(f->m->note_count, 2);
	assert_string_equal(f->m->notes[0], "3 threads were not recorded: the table was full");
	assert_string_equal(f->m->notes[1], "1 creator stack was not recorded: the table was full");
}

static bool is_of(struct fixture *f, uint64_t start_ticks)
{
	struct table_copy *c = build_table_copy(f->b);
	bool yes = table_copy_is_of(c, start_ticks, f->t[0]);

	table_copy_free(c);
	return yes;
}

static void test_whose_table_it_is(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state;
	struct wait *w[4];

	w[0] = build_wait(f->m, f->t[0], OP_COND_WAIT, build_object(f->m, OBJECT_COND, 0x50, NULL));
	w[1] = build_wait(f->m, f->t[1], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[0]));
	w[2] = build_wait(f->m, f->t[2], OP_SEM_WAIT,
			  build_object(f->m, OBJECT_SEMAPHORE, 0x70, NULL));
	w[3] = build_wait(f->m, f->t[3], OP_OTHER, build_object(f->m, OBJECT_OTHER, 0x88, NULL));
	build_record_wait(f->r[0], WIRE_OP_COND_WAIT, 0x50, (uint64_t)NOW - 7 * MS);
	f->r[0]->wait.second = 0x90;
	build_record_wait(f->r[1], WIRE_OP_MUTEX_LOCK, 0x60, (uint64_t)NOW - 8 * MS);
	build_record_wait(f->r[2], WIRE_OP_SEM_WAIT, 0x70, (uint64_t)NOW + 1);
	build_record_wait(f->r[3], WIRE_OP_BARRIER_WAIT, 0x80, (uint64_t)NOW - 9 * MS);
	enrich(f);
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
	struct fixture *f = *state;
	struct wait *w[3];

	w[0] = build_wait(f->m, f->t[0], OP_MUTEX_LOCK, build_mutex(f->m, 0x90, NULL, f->t[1]));
	w[1] = build_wait(f->m, f->t[1], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[0]));
	w[2] = build_wait(f->m, f->t[2], OP_SEM_WAIT,
			  build_object(f->m, OBJECT_SEMAPHORE, 0x70, NULL));
	/* Woken, and locking its mutex again: it has not waited for that so long. */
	build_record_wait(f->r[0], WIRE_OP_COND_WAIT, 0x50, 1);
	f->r[0]->wait.second = 0x90;
	f->r[0]->wait.flags = WIRE_WAIT_DEADLINE;
	build_record_wait(f->r[1], WIRE_OP_MUTEX_LOCK, 0x68, 1);
	build_record_wait(f->r[2], WIRE_OP_SEM_WAIT, 0x70, 1);
	f->r[2]->wait.sequence++;
	build_record_wait(f->r[3], WIRE_OP_SEM_WAIT, 0x70, 1);
	enrich(f);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(w[i]->since_ns, TIME_UNKNOWN);
		assert_null(w[i]->second);
		assert_false(w[i]->has_deadline);
	}
	assert_null(f->t[3]->wait);
	assert_int_equal(f->t[3]->state, STATE_RUNNING);
}

static void test_a_recorded_deadline(void **state)
{
	struct fixture *f = *state;
	struct wait *w =
		build_wait(f->m, f->t[1], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[1]));

	build_record_wait(f->r[1], WIRE_OP_MUTEX_LOCK, 0x60, (uint64_t)NOW - MS);
	f->r[1]->wait.flags = WIRE_WAIT_DEADLINE;
	f->r[1]->wait.deadline_ns = (uint64_t)NOW + 3 * MS;
	judge(f);
	assert_true(w->has_deadline);
	assert_int_equal(w->deadline_left_ns, 3 * MS);
	assert_int_equal(f->t[1]->verdict, VERDICT_NONE);
}

static bool interrupts(struct fixture *f, uint64_t restarting, uint64_t interrupting)
{
	struct wait *w = build_wait(f->m, f->t[1], OP_SEM_WAIT,
				    build_object(f->m, OBJECT_SEMAPHORE, 0x70, NULL));

	w->interruptible = true;
	f->t[1]->handled_signals = 1 << 9;
	build_header(f->b)->restarting_signals = restarting;
	build_header(f->b)->interrupting_signals = interrupting;
	enrich(f);
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
	struct fixture *f = *state;
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
	judge(f);
	assert_int_equal(f->t[1]->reason, REASON_OWNER_ENDED);
	assert_line(f->t[1], "T2 waits for mutex 0x60 `m`, held by T5, which has ended");
	assert_line(f->t[2],
		    "T3 waits for mutex 0x70 `n`, held by a thread that has ended (tid 4801)");
}

/* -- readers ------------------------------------------------------------------------------------ */

/* T2 wants to write to a lock that is held `readers` times by its own count. */
static struct wait *want_to_write(struct fixture *f, uint32_t readers)
{
	struct object *o = build_object(f->m, OBJECT_RWLOCK, 0xa0, "table_lock");

	o->readers = readers;
	return build_wait(f->m, f->t[1], OP_RWLOCK_WRLOCK, o);
}

static struct wire_task *hold(struct wire_task *r, uint64_t lock, uint8_t times)
{
	for (size_t i = 0; i < WIRE_HOLDS; i++) {
		if (r->holds[i])
			continue;
		r->holds[i] = lock;
		r->hold_counts[i] = times;
		return r;
	}
	return r;
}

static void test_a_reader_that_has_ended(void **state)
{
	struct fixture *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	want_to_write(f, 1);
	hold(r, 0xa0, 1);
	build_record_ended(r);
	judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[1]->reason, REASON_OWNER_ENDED);
	assert_line(f->t[1], "T2 waits to write-lock rwlock 0xa0 `table_lock`, held for reading by "
			     "T5, which has ended");
	assert_int_equal(f->m->proof, PROOF_FULL);
}

/* Also one that was joined: its record is kept for the lock, but is no task of its own. */
static void test_a_reader_that_was_joined(void **state)
{
	struct fixture *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	hold(r, 0xa0, 2);
	build_record_ended(r);
	r->flags = WIRE_TASK_JOINED;
	f->m->moment = MOMENT_EXIT;
	judge(f);
	assert_int_equal(f->m->task_count, 4);
	want_to_write(f, 2);
	judge(f);
	assert_int_equal(f->t[1]->reason, REASON_OWNER_ENDED);
	assert_int_equal(f->m->task_count, 5);
	assert_int_equal(f->m->tasks[4]->verdict, VERDICT_NONE);
	assert_ptr_equal(f->m->tasks[4]->parent, f->t[0]);
}

static void assert_writer_is_live(struct fixture *f)
{
	judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_NONE);
	assert_true(f->t[1]->live);
}

static void test_a_reader_that_goes_on(void **state)
{
	struct fixture *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	hold(r, 0xa0, 1);
	build_record_ended(r);
	hold(f->r[2], 0xa0, 1);
	want_to_write(f, 2);
	assert_writer_is_live(f);
	assert_ptr_equal(f->t[1]->chain_next, f->t[2]);
	assert_line(f->t[1], "T2 waits to write-lock rwlock 0xa0 `table_lock`, held for reading by "
			     "T3 and T5 (ended)");
}

static void test_a_count_that_does_not_fit(void **state)
{
	struct fixture *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	hold(r, 0xa0, 1);
	build_record_ended(r);
	want_to_write(f, 2);
	assert_writer_is_live(f);
	assert_null(f->t[1]->wait->object->holders);
	assert_line(f->t[1], "T2 waits to write-lock rwlock 0xa0 `table_lock`, held by readers");
}

static void test_holds_that_were_lost(void **state)
{
	struct fixture *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);

	hold(r, 0xa0, 1);
	build_record_ended(r);
	want_to_write(f, 1);
	f->r[3]->flags = WIRE_TASK_HOLDS_LOST;
	assert_writer_is_live(f);
	f->r[3]->flags = 0;
	build_header(f->b)->lost_tasks = 1;
	assert_writer_is_live(f);
}

/* A record that was not recognised as that of a thread which is there is not of an ended one. */
static void test_a_holder_that_may_be_there(void **state)
{
	struct fixture *f = *state;
	struct task *stranger = build_task(f->m, NULL);
	struct wire_task *r = build_record(f->b, 9, stranger->tid_ns, 1);

	stranger->handle = 0x9000;
	r->handle = 0x9900;
	hold(r, 0xa0, 1);
	build_record_ended(r);
	want_to_write(f, 1);
	assert_writer_is_live(f);
	assert_null(f->t[1]->wait->object->holders);
	assert_int_equal(f->m->task_count, 5);
}

static void test_a_reader_that_wants_to_write(void **state)
{
	struct fixture *f = *state;

	want_to_write(f, 1);
	hold(f->r[1], 0xa0, 1);
	judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[1]->reason, REASON_SELF);
}

/* T2 writes where T3 reads, T3 waits for a mutex of T2's. */
static void test_a_cycle_through_readers(void **state)
{
	struct fixture *f = *state;

	want_to_write(f, 1);
	hold(f->r[2], 0xa0, 1);
	build_wait(f->m, f->t[2], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, "m", f->t[1]));
	judge(f);
	assert_int_equal(f->t[1]->reason, REASON_CYCLE);
	assert_int_equal(f->t[2]->reason, REASON_CYCLE);
	assert_int_equal(f->t[1]->group, f->t[2]->group);
	assert_int_not_equal(f->t[1]->group, 0);
}

/* Behind a writer that may give up, a reader may go on although nobody else ever will. */
static void test_a_reader_behind_a_patient_writer(void **state)
{
	struct fixture *f = *state;
	struct wire_task *r = build_record(f->b, 5, 4800, 1);
	struct wait *w = want_to_write(f, 1);

	hold(r, 0xa0, 1);
	build_record_ended(r);
	build_wait(f->m, f->t[2], OP_RWLOCK_RDLOCK, w->object);
	judge(f);
	assert_int_equal(f->t[2]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[2]->reason, REASON_OWNER_ENDED);
	w->has_deadline = true;
	judge(f);
	assert_int_equal(f->t[1]->verdict, VERDICT_NONE);
	assert_int_equal(f->t[2]->verdict, VERDICT_NONE);
}

/* -- the end ------------------------------------------------------------------------------------ */

static struct task *find_task(const struct model *m, const char *id)
{
	for (size_t i = 0; i < m->task_count; i++)
		if (!strcmp(m->tasks[i]->id, id))
			return m->tasks[i];
	return NULL;
}

static void exits(struct fixture *f, size_t i)
{
	struct wire_table *h = build_header(f->b);

	f->m->moment = MOMENT_EXIT;
	h->exit_state = WIRE_EXIT_HELD;
	h->exit_tid = f->t[i]->tid_ns;
	h->exit_task = i + 1;
}

/* Three have finished: one is left, one was joined, one detached; and one is being joined. */
static void add_ended(struct fixture *f)
{
	struct wire_task *r;

	for (uint64_t i = 5; i < 9; i++) {
		r = build_record(f->b, i, (pid_t)(4800 + i), 2);
		r->handle = 0x1000 * i;
		r->start = 0x405000;
		build_record_ended(r);
		if (i == 6)
			r->flags = WIRE_TASK_JOINED;
		if (i == 7)
			r->flags = WIRE_TASK_DETACHED;
	}
	build_record_wait(f->r[3], WIRE_OP_JOIN, 0x8000, 1);
}

static void test_unjoined(void **state)
{
	struct fixture *f = *state;
	struct finding *left;

	add_ended(f);
	exits(f, 0);
	judge(f);
	assert_int_equal(f->m->task_count, 6);
	assert_int_equal(find_task(f->m, "T5")->verdict, VERDICT_UNJOINED);
	assert_int_equal(find_task(f->m, "T8")->verdict, VERDICT_NONE);
	assert_line(find_task(f->m, "T5"), "T5 has ended, and nobody has joined it");
	assert_line(find_task(f->m, "T8"), "T8 has ended");
	left = f->m->findings[f->m->finding_count - 1];
	assert_int_equal(left->verdict, VERDICT_UNJOINED);
	assert_int_equal(left->count, 1);
}

static void test_unjoined_is_a_verdict_at_the_end_only(void **state)
{
	struct fixture *f = *state;

	add_ended(f);
	judge(f);
	assert_int_equal(f->m->finding_count, 0);
	assert_int_equal(find_task(f->m, "T5")->state, STATE_ENDED);
	assert_true(find_task(f->m, "T5")->ended_unjoined);
}

static void test_alive(void **state)
{
	struct fixture *f = *state;

	build_wait(f->m, f->t[1], OP_COND_WAIT, build_object(f->m, OBJECT_COND, 0x50, NULL));
	build_wait(f->m, f->t[2], OP_MUTEX_LOCK, build_mutex(f->m, 0x60, NULL, f->t[2]));
	build_record_ended(f->r[3]); /* but its destructors still run */
	exits(f, 0);
	judge(f);
	assert_true(f->t[0]->ends_process);
	assert_true(f->t[0]->live);
	assert_line(f->t[0], "T1 ends the process");
	assert_int_equal(f->t[0]->verdict, VERDICT_NONE);
	assert_int_equal(f->t[1]->verdict, VERDICT_ALIVE);
	assert_int_equal(f->t[1]->reason, REASON_NONE);
	assert_int_equal(f->t[2]->verdict, VERDICT_STUCK);
	assert_int_equal(f->t[3]->verdict, VERDICT_NONE);
}

/* Another thread calls exit: it is not alive, nor is main, which waits for it. */
static void test_neither_main_nor_who_exits_is_alive(void **state)
{
	struct fixture *f = *state;
	struct object *thread = build_object(f->m, OBJECT_THREAD, 0x3000, NULL);

	thread->owner_state = OWNER_TASK;
	thread->owner = f->t[2];
	build_wait(f->m, f->t[0], OP_JOIN, thread);
	exits(f, 2);
	judge(f);
	assert_int_equal(f->t[0]->verdict, VERDICT_NONE);
	assert_true(f->t[0]->live);
	assert_int_equal(f->t[1]->verdict, VERDICT_ALIVE);
	assert_int_equal(f->t[2]->verdict, VERDICT_NONE);
	assert_int_equal(f->t[3]->verdict, VERDICT_ALIVE);
}

static void test_nobody_is_alive_while_it_goes_on(void **state)
{
	struct fixture *f = *state;

	judge(f);
	assert_int_equal(f->m->finding_count, 0);
}

static void test_what_has_ended_since_the_exit(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct table *t;

	add_ended(f);
	f->r[3]->wait.sequence++;
	exits(f, 0);
	judge(f);
	assert_int_equal(f->m->task_count, 6);
	assert_int_equal(f->m->finding_count, 2); /* alive: T2 to T4; unjoined: T5, T8 */
	assert_int_equal(f->m->findings[0]->count, 3);
	assert_int_equal(f->m->findings[1]->count, 2);
	t = build_table_open(f->b);
	assert_int_equal(look_drop_ended(f->m, t, &e), 0);
	assert_int_equal(f->m->task_count, 6);
	table_close(t);
	build_record_ended(f->r[1]);
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

/* -- only the table is left --------------------------------------------------------------------- */

static void test_a_process_that_is_no_more(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };
	struct table *t;
	struct model *m;

	add_ended(f);
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
static void try_damaged(struct fixture *f)
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
		assert_int_equal(table_enrich_tasks(c, NOW, f->stacks, f->m), 0);
		assert_int_equal(table_enrich_waits(c, NOW, f->stacks, f->m), 0);
		table_copy_free(c);
		assert_int_equal(prove_tasks(f->m), 0);
		assert_int_equal(findings_make(f->m), 0);
		report(f->m);
		look_drop_ended(f->m, t, &e);
	}
	table_close(t);
}

static void block_all(struct fixture *f)
{
	build_wait(f->m, f->t[0], OP_RWLOCK_RDLOCK, build_object(f->m, OBJECT_RWLOCK, 0xa0, NULL));
	want_to_write(f, 1 + (uint32_t)f->b->tasks % 3);
	build_wait(f->m, f->t[2], OP_COND_WAIT, build_object(f->m, OBJECT_COND, 0x50, NULL));
	build_record_wait(f->r[2], WIRE_OP_COND_WAIT, 0x50, 5);
	for (size_t i = 0; i < 4; i++)
		hold(f->r[i], 0xa0, 1);
}

static void test_damaged_tables(void **unused)
{
	unsigned seed = 7;

	(void)unused;
	for (int round = 0; round < 400; round++) {
		struct fixture *f;
		void *state;

		assert_int_equal(set_up(&state), 0);
		f = state;
		add_ended(f);
		block_all(f);
		exits(f, (size_t)round % 4);
		for (int k = 0; k < 30; k++) {
			size_t at =
				offsetof(struct wire_table, flags) + (size_t)rand_r(&seed) % 140;

			if (k > 1)
				at = 8192 + (size_t)rand_r(&seed) % (8 * sizeof(struct wire_task));
			f->b->bytes[at] = (uint8_t)(k % 3 ? rand_r(&seed) : k % 2);
		}
		try_damaged(f);
		tear_down(&state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_numbers_names_creators),
		TEST(test_a_process_without_records),
		TEST(test_threads_that_have_not_begun),
		TEST(test_losses_are_said),
		TEST(test_whose_table_it_is),
		TEST(test_since_when),
		TEST(test_records_that_disagree),
		TEST(test_a_recorded_deadline),
		TEST(test_handlers_that_restart),
		TEST(test_a_reader_that_has_ended),
		TEST(test_a_reader_that_was_joined),
		TEST(test_a_reader_that_goes_on),
		TEST(test_a_count_that_does_not_fit),
		TEST(test_holds_that_were_lost),
		TEST(test_a_holder_that_may_be_there),
		TEST(test_a_reader_that_wants_to_write),
		TEST(test_a_cycle_through_readers),
		TEST(test_a_reader_behind_a_patient_writer),
		TEST(test_unjoined),
		TEST(test_unjoined_is_a_verdict_at_the_end_only),
		TEST(test_alive),
		TEST(test_neither_main_nor_who_exits_is_alive),
		TEST(test_nobody_is_alive_while_it_goes_on),
		TEST(test_what_has_ended_since_the_exit),
		TEST(test_an_owner_that_has_ended),
		TEST(test_a_process_that_is_no_more),
		cmocka_unit_test(test_damaged_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
