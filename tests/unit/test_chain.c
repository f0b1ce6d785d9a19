/* SPDX-License-Identifier: MIT */
/*
 * Chains in words: every sentence about a wait, and where chains end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prove/chain.h"
#include "prove/words.h"
#include "build_model.h"
#include "unit.h"

#define S INT64_C(1000000000)

/* The shop's tasks, running, for tests to block. */
struct cast {
	struct model *m;
	struct task *t1, *t2, *t3, *t4;
};

static int set_up(void **state)
{
	static struct cast c;

	c.m = build_model();
	c.t1 = build_task(c.m, "shop");
	c.t2 = build_task(c.m, "door");
	c.t3 = build_task(c.m, "orders");
	c.t4 = build_task(c.m, "users");
	model_number_tasks(c.m);
	*state = &c;
	return 0;
}

static int tear_down(void **state)
{
	struct cast *c = *state;

	model_free(c->m);
	return 0;
}

static void assert_wait(const struct task *t, const char *expected)
{
	char line[CHAIN_LINE_BYTES];

	chain_describe_wait(t, line, sizeof(line));
	assert_string_equal(line, expected);
}

static void assert_end(const struct model *m, const struct task *t, const char *expected)
{
	char line[CHAIN_LINE_BYTES];

	chain_describe_end(m, t, line, sizeof(line));
	assert_string_equal(line, expected);
}

static void test_durations(void **state)
{
	static const struct {
		int64_t ns;
		const char *words;
	} rows[] = {
		{ 0, "0 ms" },
		{ -5, "0 ms" },
		{ 1834000, "1.8 ms" },
		{ 2000000, "2 ms" },
		{ 40 * S / 1000, "40 ms" },
		{ 999 * S / 1000, "999 ms" },
		{ S, "1 s" },
		{ 1500 * S / 1000, "1.5 s" },
		{ 93 * S, "93 s" },
		{ 119 * S, "119 s" },
		{ 120 * S, "2 min" },
		{ 150 * S, "2 min 30 s" },
		{ 3599 * S, "59 min" },
		{ 7500 * S, "2 h 5 min" },
		{ 7200 * S, "2 h" },
		{ 200 * 3600 * S, "8 days" },
		{ INT64_MAX, "106751 days" },
	};
	char words[40];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		chain_format_duration(rows[i].ns, words, sizeof(words));
		assert_string_equal(words, rows[i].words);
	}
}

static void test_locks_and_their_holders(void **state)
{
	struct cast *c = *state;
	struct object *o = build_mutex(c->m, 0x4c10, "orders_lock", c->t4);

	build_wait(c->m, c->t3, OP_MUTEX_LOCK, o);
	assert_wait(c->t3, "T3 waits for mutex 0x4c10 `orders_lock`, held by T4");
	o->owner = c->t3;
	assert_wait(c->t3, "T3 waits for mutex 0x4c10 `orders_lock`, which it holds itself");
	o->owner_state = OWNER_ENDED;
	o->owner_tid = 4790;
	o->name = NULL;
	assert_wait(c->t3, "T3 waits for mutex 0x4c10, held by a thread that has ended (tid 4790)");
	o->owner_tid = 0;
	assert_wait(c->t3, "T3 waits for mutex 0x4c10, held by a thread that has ended");
	o->owner_state = OWNER_FOREIGN;
	o->owner_tid = 4712;
	o->attribute = "robust";
	assert_wait(c->t3, "T3 waits for mutex 0x4c10 (robust), held by task 4712 of another "
			   "process");
	o->owner_state = OWNER_UNKNOWN;
	o->attribute = NULL;
	assert_wait(c->t3, "T3 waits for mutex 0x4c10, held by an unknown task");
	o->owner_state = OWNER_NONE;
	assert_wait(c->t3, "T3 waits for mutex 0x4c10");
}

static void test_other_objects(void **state)
{
	struct cast *c = *state;
	struct object *o = build_object(c->m, OBJECT_RWLOCK, 0x10, "table");

	build_wait(c->m, c->t2, OP_RWLOCK_WRLOCK, o);
	assert_wait(c->t2, "T2 waits to write-lock rwlock 0x10 `table`, held by readers");
	build_wait(c->m, c->t2, OP_COND_WAIT, build_object(c->m, OBJECT_COND, 0x20, NULL));
	assert_wait(c->t2, "T2 waits on cond 0x20");
	build_wait(c->m, c->t2, OP_BARRIER_WAIT, build_object(c->m, OBJECT_BARRIER, 0x20, "b"));
	assert_wait(c->t2, "T2 waits at barrier 0x20 `b`");
	o = build_object(c->m, OBJECT_THREAD, 0x7f00, NULL);
	build_wait(c->m, c->t1, OP_JOIN, o);
	assert_wait(c->t1, "T1 joins thread 0x7f00");
	o->owner_state = OWNER_ENDED;
	o->owner_tid = 4790;
	assert_wait(c->t1, "T1 joins a thread that has ended (tid 4790)");
	o->owner_state = OWNER_TASK;
	o->owner = c->t3;
	assert_wait(c->t1, "T1 joins T3");
}

static void test_calls_and_times(void **state)
{
	struct cast *c = *state;
	struct wait *w = build_io(c->m, c->t1, "recv(12) tcp 127.0.0.1:80");

	assert_wait(c->t2, "T2 runs");
	assert_wait(c->t1, "T1 is in recv(12) tcp 127.0.0.1:80");
	w->since_ns = 93 * S;
	assert_wait(c->t1, "T1 is in recv(12) tcp 127.0.0.1:80, for 93 s");
	w->has_deadline = true;
	assert_wait(c->t1, "T1 is in recv(12) tcp 127.0.0.1:80, for 93 s, with a time limit");
	w->since_ns = TIME_UNKNOWN;
	w->duration_ns = 5 * S;
	assert_wait(c->t1, "T1 is in recv(12) tcp 127.0.0.1:80, at most 5 s");
	w->deadline_left_ns = 3200 * S / 1000;
	assert_wait(c->t1, "T1 is in recv(12) tcp 127.0.0.1:80, 3.2 s left");
	w->deadline_left_ns = -1;
	assert_wait(c->t1, "T1 is in recv(12) tcp 127.0.0.1:80, its time is up");
	build_wait(c->m, c->t1, OP_SLEEP, NULL)->text = "nanosleep";
	assert_wait(c->t1, "T1 sleeps in nanosleep");
	build_wait(c->m, c->t1, OP_OTHER, NULL);
	assert_wait(c->t1, "T1 is in an unknown call");
	c->t2->state = STATE_ENDED;
	assert_wait(c->t2, "T2 has ended");
	c->t3->live_because = "could not be stopped";
	assert_wait(c->t3, "T3 runs (could not be stopped)");
}

static void test_long_names_are_cut_in_the_middle(void **state)
{
	struct cast *c = *state;
	struct object *o;
	char name[201], buf[256];

	memset(name, 'x', 200);
	name[0] = 'a';
	name[199] = 'z';
	name[200] = '\0';
	o = build_object(c->m, OBJECT_MUTEX, 0x10, name);
	chain_describe_object(o, buf, sizeof(buf));
	assert_string_equal(buf, "mutex 0x10 `axxxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxxxxxxz`");
	chain_describe_object(o, buf, 8);
	assert_string_equal(buf, "mutex 0");
	chain_describe_wait(c->t1, buf, 1);
	assert_string_equal(buf, "");
}

static void test_a_cycle(void **state)
{
	struct cast *c = *state;
	const struct task *tasks[8];

	build_wait(c->m, c->t3, OP_MUTEX_LOCK, build_mutex(c->m, 0x10, NULL, c->t4));
	build_wait(c->m, c->t4, OP_MUTEX_LOCK, build_mutex(c->m, 0x20, NULL, c->t3));
	build_wait(c->m, c->t1, OP_MUTEX_LOCK, build_mutex(c->m, 0x30, NULL, c->t3));
	build_stuck(c->t3, REASON_CYCLE, 1);
	build_stuck(c->t4, REASON_CYCLE, 1);
	build_stuck(c->t1, REASON_OWNER_STUCK, 0);
	assert_int_equal(chain_collect(c->t4, tasks, 8), 2);
	assert_ptr_equal(tasks[0], c->t4);
	assert_ptr_equal(tasks[1], c->t3);
	assert_int_equal(chain_collect(c->t1, tasks, 8), 3);
	assert_int_equal(chain_collect(c->t1, tasks, 2), 2);
	assert_end(c->m, c->t3, "a cycle: stuck");
	assert_end(c->m, c->t1, "a cycle: stuck");
	assert_ptr_equal(chain_find_end(c->t1), c->t3);
}

static void test_its_own_lock(void **state)
{
	struct cast *c = *state;
	const struct task *tasks[8];

	build_wait(c->m, c->t3, OP_MUTEX_LOCK, build_mutex(c->m, 0x10, NULL, c->t3));
	build_stuck(c->t3, REASON_SELF, 0);
	assert_int_equal(chain_collect(c->t3, tasks, 8), 1);
	assert_end(c->m, c->t3, "stuck");
	assert_ptr_equal(chain_find_end(c->t3), c->t3);
}

static void test_nobody_is_live(void **state)
{
	struct cast *c = *state;
	struct chain_text *text = calloc(1, sizeof(*text));
	struct object *cond = build_object(c->m, OBJECT_COND, 0x20, "jobs");
	struct task *const all[] = { c->t1, c->t2, c->t3, c->t4 };
	size_t i;

	for (i = 0; i < COUNT(all); i++) {
		build_wait(c->m, all[i], OP_COND_WAIT, cond);
		build_stuck(all[i], REASON_ALL_ASLEEP, 0);
	}
	chain_write(c->m, c->t2, text);
	assert_int_equal(text->n, 2);
	assert_string_equal(text->lines[0], "T2 waits on cond 0x20 `jobs`");
	assert_string_equal(text->lines[1], "no task is live: nobody can wake it");
	assert_string_equal(text->remark, "");
	free(text);
}

static void test_whoever_waits_for_a_live_task(void **state)
{
	struct cast *c = *state;
	struct chain_text *text = calloc(1, sizeof(*text));

	build_wait(c->m, c->t2, OP_MUTEX_LOCK, build_mutex(c->m, 0x10, NULL, c->t3));
	build_wait(c->m, c->t3, OP_MUTEX_LOCK, build_mutex(c->m, 0x20, NULL, c->t4));
	build_io(c->m, c->t4, "recv(12)");
	chain_write(c->m, c->t2, text);
	assert_int_equal(text->n, 3);
	assert_string_equal(text->lines[2], "T4 is in recv(12)");
	assert_string_equal(text->remark, "not stuck: T4 may go on");
	assert_ptr_equal(chain_find_end(c->t2), c->t4);
	assert_end(c->m, c->t4, "");
	assert_end(c->m, c->t1, "");
	free(text);
}

static void test_a_deadline_behind_a_stuck_task(void **state)
{
	struct cast *c = *state;

	build_wait(c->m, c->t3, OP_MUTEX_LOCK, build_mutex(c->m, 0x10, NULL, c->t3));
	build_stuck(c->t3, REASON_SELF, 0);
	build_wait(c->m, c->t2, OP_MUTEX_LOCK, build_mutex(c->m, 0x10, NULL, c->t3))->has_deadline =
		true;
	assert_end(c->m, c->t2, "not stuck: it may go on by itself");
	build_wait(c->m, c->t1, OP_MUTEX_LOCK, build_mutex(c->m, 0x20, NULL, c->t2));
	assert_ptr_equal(chain_find_end(c->t1), c->t2);
	assert_end(c->m, c->t1, "not stuck: T2 may go on");
}

/* Two that wait for each other, with time limits: both are live, the chain has no end. */
static void test_a_cycle_of_deadlines(void **state)
{
	struct cast *c = *state;
	const struct task *tasks[8];

	build_wait(c->m, c->t3, OP_MUTEX_LOCK, build_mutex(c->m, 0x10, NULL, c->t4))->has_deadline =
		true;
	build_wait(c->m, c->t4, OP_MUTEX_LOCK, build_mutex(c->m, 0x20, NULL, c->t3))->has_deadline =
		true;
	build_wait(c->m, c->t2, OP_MUTEX_LOCK, build_mutex(c->m, 0x20, NULL, c->t3));
	assert_int_equal(chain_collect(c->t2, tasks, 8), 3);
	assert_ptr_equal(chain_find_end(c->t2), c->t3);
	assert_ptr_equal(chain_find_end(c->t3), c->t3);
	assert_ptr_equal(chain_find_end(c->t4), c->t3);
	assert_end(c->m, c->t2, "not stuck: T3 may go on");
	assert_end(c->m, c->t3, "not stuck: it may go on by itself");
}

static void test_who_may_signal(void **state)
{
	struct cast *c = *state;
	struct task *t;
	size_t i;

	build_io(c->m, c->t1, "poll(3 fds) pipe:[12]");
	build_wait(c->m, c->t2, OP_COND_WAIT, build_object(c->m, OBJECT_COND, 0x20, NULL));
	build_wait(c->m, c->t3, OP_SEM_WAIT, build_object(c->m, OBJECT_SEMAPHORE, 0x30, NULL));
	assert_end(c->m, c->t2, "any live task may signal it: T1 (poll(3 fds)), T4 (runs)");
	assert_end(c->m, c->t3, "any live task may post it: T1 (poll(3 fds)), T4 (runs)");
	model_add_pseudo(c->m, "the handler of SIGUSR1");
	for (i = 0; i < 5; i++) {
		t = build_task(c->m, NULL);
		build_wait(c->m, t, OP_SLEEP, NULL)->text = i ? "nanosleep" : "nanosleep(CLOCK)";
	}
	model_number_tasks(c->m);
	assert_end(c->m, c->t2,
		   "any live task may signal it: T1 (poll(3 fds)), T4 (runs), T5 (nanosleep), the "
		   "handler of SIGUSR1, and 4 more");
}

static void test_other_ends(void **state)
{
	struct cast *c = *state;
	struct object *o = build_mutex(c->m, 0x10, NULL, NULL), *cond;
	struct wait *w;

	o->owner_state = OWNER_FOREIGN;
	o->owner_tid = 12;
	build_wait(c->m, c->t2, OP_MUTEX_LOCK, o);
	assert_end(c->m, c->t2, "not stuck: that task may go on");
	o->live_because = "shared with other processes";
	assert_end(c->m, c->t2, "not stuck: shared with other processes");

	cond = build_object(c->m, OBJECT_FUTEX, 0x20, NULL);
	w = build_wait(c->m, c->t3, OP_FUTEX_WAIT, cond);
	assert_end(c->m, c->t3, "any live task may wake it: T1 (runs), T4 (runs)");
	c->m->shared_withheld = "io_uring is in use";
	assert_end(c->m, c->t3, "not proved: io_uring is in use");
	c->m->shared_withheld = NULL;
	c->t3->handled_signals = 1;
	w->interruptible = true;
	assert_end(c->m, c->t3, "not stuck: a signal handler may interrupt it");
	c->t3->live = false;
	assert_end(c->m, c->t3, "not proved");
}

static void test_nobody_may_be_called_stuck(void **state)
{
	struct cast *c = *state;
	struct task *const all[] = { c->t1, c->t2, c->t3, c->t4 };
	size_t i;

	for (i = 0; i < COUNT(all); i++)
		build_wait(c->m, all[i], OP_COND_WAIT, build_object(c->m, OBJECT_COND, 16, NULL));
	c->m->shared_withheld = "io_uring is in use";
	assert_end(c->m, c->t1, "not proved: io_uring is in use");
}

static void test_a_stuck_task_that_may_be_cancelled(void **state)
{
	struct cast *c = *state;
	struct object *o = build_object(c->m, OBJECT_THREAD, 0x7f00, NULL);

	o->owner_state = OWNER_TASK;
	o->owner = c->t3;
	build_wait(c->m, c->t3, OP_MUTEX_LOCK, build_mutex(c->m, 0x10, NULL, c->t3));
	build_stuck(c->t3, REASON_SELF, 0);
	build_wait(c->m, c->t1, OP_JOIN, o)->cancellation_point = true;
	c->m->cancels = true;
	assert_end(c->m, c->t1, "not stuck: a live task may cancel it");
	c->t1->wait->cancellation_point = false;
	assert_end(c->m, c->t1, "");
	c->m->cancels_async = true;
	assert_end(c->m, c->t1, "not stuck: a live task may cancel it");
}

static struct object *build_read_lock(struct cast *c, struct task **holders, size_t n)
{
	struct object *o = build_object(c->m, OBJECT_RWLOCK, 0x20, "table");

	o->holders = model_alloc(c->m, 8 * sizeof(*holders));
	memcpy(o->holders, holders, n * sizeof(*holders));
	o->holder_count = n;
	return o;
}

static void test_readers_by_name(void **state)
{
	struct cast *c = *state;
	struct task *more[] = { c->t2, c->t3, c->t4, c->t1, build_task(c->m, NULL) };

	model_number_tasks(c->m);
	build_wait(c->m, c->t1, OP_RWLOCK_WRLOCK, build_read_lock(c, more + 2, 1));
	assert_wait(c->t1, "T1 waits to write-lock rwlock 0x20 `table`, held for reading by T4");
	c->t4->state = STATE_ENDED;
	assert_wait(c->t1,
		    "T1 waits to write-lock rwlock 0x20 `table`, held for reading by T4, which "
		    "has ended");
	build_read_lock(c, more + 2, 2);
	assert_wait(c->t1,
		    "T1 waits to write-lock rwlock 0x20 `table`, held for reading by T4 (ended) "
		    "and itself");
	build_read_lock(c, more, 3);
	assert_wait(c->t1, "T1 waits to write-lock rwlock 0x20 `table`, held for reading by T2, T3 "
			   "and T4 (ended)");
	build_read_lock(c, more, 5);
	assert_wait(c->t1,
		    "T1 waits to write-lock rwlock 0x20 `table`, held for reading by T2, T3, "
		    "T4 (ended) and 2 more");
}

static void test_a_reader_that_lets_a_writer_go_first(void **state)
{
	struct cast *c = *state;

	build_wait(c->m, c->t1, OP_RWLOCK_RDLOCK, build_read_lock(c, &c->t4, 1));
	c->t4->state = STATE_ENDED;
	assert_end(c->m, c->t1, "not stuck: a writer that it lets go first may give up");
}

static void test_the_end_of_the_process(void **state)
{
	struct cast *c = *state;

	c->t1->ends_process = true;
	assert_wait(c->t1, "T1 ends the process");
	c->t2->state = STATE_ENDED;
	assert_wait(c->t2, "T2 has ended");
	c->t2->ended_unjoined = true;
	assert_wait(c->t2, "T2 has ended, and nobody has joined it");
	build_wait(c->m, c->t3, OP_COND_WAIT, build_object(c->m, OBJECT_COND, 0x10, NULL));
	assert_end(c->m, c->t3, "any live task may signal it: T1 (ends the process), T4 (runs)");
}

static void test_a_very_long_chain(void **state)
{
	struct cast *c = *state;
	struct chain_text *text = calloc(1, sizeof(*text));
	struct task *prev = c->t4, *t;
	size_t i;

	build_io(c->m, c->t4, "recv(12)");
	for (i = 0; i < 500; i++) {
		t = build_task(c->m, NULL);
		build_wait(c->m, t, OP_MUTEX_LOCK, build_mutex(c->m, 0x1000 + i, NULL, prev));
		prev = t;
	}
	model_number_tasks(c->m);
	chain_write(c->m, prev, text);
	assert_int_equal(text->n, CHAIN_TASKS_MAX + 2);
	assert_string_equal(text->lines[0], "T504 waits for mutex 0x11f3, held by T503");
	assert_string_equal(text->lines[CHAIN_TASKS_MAX], "… and so on, down to");
	assert_string_equal(text->lines[CHAIN_TASKS_MAX + 1], "T4 is in recv(12)");
	assert_string_equal(text->remark, "not stuck: T4 may go on");
	free(text);
}

static void test_words_stay_in_their_buffer(void **state)
{
	struct words w;
	char buf[12];

	(void)state;
	words_begin(&w, buf, sizeof(buf));
	words_add(&w, "%s", "twelve bytes and more");
	words_add(&w, "%d", 5);
	assert_string_equal(buf, "twelve byte");
	words_begin(&w, buf, sizeof(buf));
	words_add_name(&w, "äöüäöü", 4);
	assert_string_equal(buf, "äö…ü");
	words_begin(&w, buf, 0);
	words_add(&w, "nothing");
}

#define CHAIN_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_words_stay_in_their_buffer),
		CHAIN_TEST(test_locks_and_their_holders),
		CHAIN_TEST(test_other_objects),
		CHAIN_TEST(test_calls_and_times),
		CHAIN_TEST(test_long_names_are_cut_in_the_middle),
		CHAIN_TEST(test_a_cycle),
		CHAIN_TEST(test_its_own_lock),
		CHAIN_TEST(test_nobody_is_live),
		CHAIN_TEST(test_whoever_waits_for_a_live_task),
		CHAIN_TEST(test_a_deadline_behind_a_stuck_task),
		CHAIN_TEST(test_a_cycle_of_deadlines),
		CHAIN_TEST(test_who_may_signal),
		CHAIN_TEST(test_other_ends),
		CHAIN_TEST(test_nobody_may_be_called_stuck),
		CHAIN_TEST(test_a_stuck_task_that_may_be_cancelled),
		CHAIN_TEST(test_readers_by_name),
		CHAIN_TEST(test_a_reader_that_lets_a_writer_go_first),
		CHAIN_TEST(test_the_end_of_the_process),
		CHAIN_TEST(test_a_very_long_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
