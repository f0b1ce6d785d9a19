/* SPDX-License-Identifier: MIT */
/*
 * The text report: byte for byte for the example, and for others what a person must find where;
 * no line is ever wider than a hundred columns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prove/findings.h"
#include "report/layout.h"
#include "report/report.h"
#include "report/text_groups.h"
#include "report/utf8.h"
#include "build_model.h"
#include "unit.h"

static const char shop_report[] =
	"process 4711, /srv/shop: 4 tasks, 3 stuck (stopped for 1.8 ms)\n"
	"\n"
	"STUCK  T3, T4 (orders, users): a cycle\n"
	"  T3 waits for mutex 0x4c40 `users_lock`, held by T4\n"
	"  T4 waits for mutex 0x4c10 `orders_lock`, held by T3        ← a cycle: stuck\n"
	"  T3 (orders):\n"
	"    #1 place_order   /src/shop.c:26\n"
	"    #2 order_worker  /src/shop.c:47\n"
	"  T4 (users):\n"
	"    #1 update_user  /src/shop.c:36\n"
	"    #2 user_worker  /src/shop.c:55\n"
	"\n"
	"STUCK  T1: behind a stuck task\n"
	"  T1 joins T3        ← T3 is stuck: see above\n"
	"    #1 main  /src/shop.c:90\n"
	"\n"
	"All tasks by stack\n"
	"\n"
	"T1\n"
	"  T1 joins T3        ← stuck: see above\n"
	"    #0 pthread_join       (libc.so.6)\n"
	"    #1 main               /src/shop.c:90\n"
	"    #2 __libc_start_main  (libc.so.6)\n"
	"\n"
	"T3 (orders)\n"
	"  T3 waits for mutex 0x4c40 `users_lock`, held by T4        ← stuck: see above\n"
	"    #0 pthread_mutex_lock  (libc.so.6)\n"
	"    #1 place_order         /src/shop.c:26\n"
	"    #2 order_worker        /src/shop.c:47\n"
	"    #3 start_thread        (libc.so.6)\n"
	"\n"
	"T4 (users)\n"
	"  T4 waits for mutex 0x4c10 `orders_lock`, held by T3        ← stuck: see above\n"
	"    #0 pthread_mutex_lock  (libc.so.6)\n"
	"    #1 update_user         /src/shop.c:36\n"
	"    #2 user_worker         /src/shop.c:55\n"
	"    #3 start_thread        (libc.so.6)\n"
	"\n"
	"T2 (door)\n"
	"  T2 is in recv(3) unix\n"
	"    #0 recv             (libc.so.6)\n"
	"    #1 greet_customers  /src/shop.c:65\n"
	"    #2 start_thread     (libc.so.6)\n";

/* The text of a report, after a look at the width of its lines. */
static char *text_of_some(const struct model *m, size_t max_tasks, bool all)
{
	char *text = build_report(m, "text", max_tasks, all), *copy = strdup(text), *save, *line;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (utf8_columns(line) > LAYOUT_COLUMNS)
			fail_msg("%zu columns: %s", utf8_columns(line), line);
	free(copy);
	return text;
}

static char *text_of(const struct model *m, size_t max_tasks)
{
	return text_of_some(m, max_tasks, true);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* The line, from 1, that has these words; 0: none. */
static size_t line_of(const char *text, const char *words)
{
	const char *found = strstr(text, words);
	size_t n = 1;

	if (!found)
		return 0;
	for (; text < found; text++)
		n += *text == '\n';
	return n;
}

static void assert_has(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("no \"%s\" in\n%s", words, text);
}

static void test_the_example(void **state)
{
	struct model *m = build_shop();
	char *text = text_of(m, 1000);

	(void)state;
	assert_string_equal(text, shop_report);
	free(text);
	model_free(m);
}

static void test_colours_change_nothing_else(void **state)
{
	struct model *m = build_shop();
	struct report_options o = { .all = true, .colour = true, .max_tasks = 1000 };
	struct err e = { 0 };
	char *text = NULL, *from, *to;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(report_find("text")->write(m, &o, f, &e), 0);
	fclose(f);
	assert_has(text, "\033[1;31mSTUCK");
	assert_has(text, "\033[2m#0 pthread_join");
	for (from = to = text; *from;) {
		if (*from == '\033')
			from = strchr(from, 'm') + 1;
		else
			*to++ = *from++;
	}
	*to = '\0';
	assert_string_equal(text, shop_report);
	free(text);
	model_free(m);
}

/* A hung service, nothing provable: workers wait for one that is in recv, others for a job. */
static struct model *build_service(size_t workers, size_t idle)
{
	static const struct frame fetch[] = { LIBC("recv"), FRAME("fetch", "/src/client.c", 88, 70),
					      FRAME("worker", "/src/pool.c", 40, 30) };
	static const struct frame lock[] = { LIBC("pthread_mutex_lock"),
					     FRAME("find", "/src/cache.c", 12, 10),
					     FRAME("worker", "/src/pool.c", 41, 30) };
	static const struct frame wait[] = { LIBC("pthread_cond_wait"),
					     FRAME("next_job", "/src/pool.c", 20, 15) };
	struct model *m = build_model();
	struct task *t = build_task(m, "shop"), *owner = build_task(m, "fetcher");
	struct stack *lock_stack = build_stack(m, lock, COUNT(lock));
	struct stack *wait_stack = build_stack(m, wait, COUNT(wait));
	size_t i;

	build_io(m, t, "poll(3 fds)");
	build_io(m, owner, "recv(12) tcp 127.0.0.1:80");
	owner->stack = build_stack(m, fetch, COUNT(fetch));
	for (i = 0; i < workers; i++) {
		t = build_task(m, "worker");
		t->stack = lock_stack;
		build_wait(m, t, OP_MUTEX_LOCK, build_mutex(m, 0x4c40, "cache_lock", owner));
	}
	for (i = 0; i < idle; i++) {
		t = build_task(m, "worker");
		t->stack = wait_stack;
		build_wait(m, t, OP_COND_WAIT, build_object(m, OBJECT_COND, 0x5000, "jobs_ready"));
	}
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	return m;
}

static void test_the_culprit_is_in_the_first_lines(void **state)
{
	struct model *m = build_service(3, 50);
	char *text = text_of(m, 1000);

	(void)state;
	assert_has(text, "55 tasks, none proved stuck");
	assert_has(text, "T3-T5 (3 tasks, worker) wait for T2, which is in recv(12) tcp "
			 "127.0.0.1:80\n");
	assert_has(text, "T2 (fetcher): fetch client.c:88, called by worker pool.c:40; holds mutex "
			 "0x4c40 `cache_lock`\n");
	assert_has(text, "T6-T55 (50 tasks, worker) wait on cond 0x5000 `jobs_ready`, in next_job "
			 "pool.c:20\n");
	assert_has(text, "not proved; any live task may signal it: T1 (poll(3 fds)), T2 "
			 "(recv(12))\n");
	assert_in_range(line_of(text, "which is in recv(12)"), 2, 5);
	assert_in_range(line_of(text, "jobs_ready"), 4, 8);
	free(text);
	model_free(m);
}

static void test_ten_thousand_tasks_are_a_short_report(void **state)
{
	struct model *m = build_service(5000, 4998);
	char *text = text_of(m, 100000);

	(void)state;
	assert_in_range(count_lines(text), 10, 50);
	assert_has(text, "T3-T5002 (5000 tasks, worker)\n");
	assert_has(text,
		   "T3 waits for mutex 0x4c40 `cache_lock`, held by T2; the others likewise\n");
	free(text);
	model_free(m);
}

static void test_many_objects_at_one_place(void **state)
{
	struct model *m = build_service(0, 0);
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		struct task *t = build_task(m, NULL);

		t->stack = m->tasks[1]->stack;
		build_wait(m, t, OP_COND_WAIT,
			   build_object(m, OBJECT_COND, 0x9000 + 64 * (i < 40 ? 0 : i), NULL));
	}
	model_number_tasks(m);
	text = text_of(m, 1000);
	assert_has(text, "T3 waits on cond 0x9000; likewise T4-T42\n");
	assert_has(text, "T44 waits on cond 0x9a40\n");
	assert_has(text, "… and 58 more that wait at the same place\n");
	assert_has(text, "… and 53 more: see the tasks\n");
	assert_in_range(count_lines(text), 20, 60);
	free(text);
	model_free(m);
}

static void test_a_list_that_is_cut_says_so(void **state)
{
	struct model *m = build_service(3, 50);
	char *text = text_of(m, 10);

	(void)state;
	assert_has(text, "55 tasks");
	assert_has(text, "45 more tasks are not listed: --max-tasks cuts the list at 10\n");
	free(text);
	text = text_of(m, 54);
	assert_has(text, "1 more task is not listed: --max-tasks cuts the list at 54\n");
	free(text);
	model_free(m);
}

static void test_who_waits_for_a_stuck_task_without_being_stuck(void **state)
{
	struct model *m = build_shop();
	struct task *t = build_task(m, "patient");
	char *text;

	(void)state;
	build_wait(m, t, OP_MUTEX_LOCK, build_mutex(m, 0x4c10, "orders_lock", m->tasks[2]))
		->has_deadline = true;
	model_number_tasks(m);
	text = text_of(m, 1000);
	assert_has(text, "What the other waits hang on\n"
			 "  T5 (patient) waits for T3, which is stuck: see above\n");
	assert_has(text, "held by T3, with a time limit\n");
	assert_has(text, "← not stuck: it may go on by itself\n");
	free(text);
	model_free(m);
}

static void test_all_asleep(void **state)
{
	struct model *m = build_model();
	struct task *t[5];
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		t[i] = build_task(m, "shop");
		build_wait(m, t[i], OP_COND_WAIT, build_object(m, OBJECT_COND, 0x10, "jobs"));
		build_stuck(t[i], REASON_ALL_ASLEEP, 0);
	}
	m->cancels = true;
	model_note(m, "%s",
		   "a note that is long enough to need a second line, because it says in "
		   "many words what was not seen");
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	text = text_of(m, 1000);
	assert_has(text, "STUCK  T1-T5 (5 tasks): nobody is left to wake them\n"
			 "  T1 waits on cond 0x10 `jobs`\n"
			 "  no task is live: nobody can wake it        ← stuck\n"
			 "    (its stack is not known)\n");
	assert_has(text,
		   "\nNotes\n  - a note that is long enough to need a second line, because it "
		   "says in many words what was not\n      seen\n");
	free(text);
	model_free(m);
}

/* The same bug twice: one block, the chain of one cycle, each place once. */
static void test_two_cycles_at_the_same_places(void **state)
{
	static const struct frame a[] = { FRAME("a", "x.c", 1, 1) };
	static const struct frame b[] = { FRAME("b", "x.c", 2, 1) };
	struct model *m = build_model();
	struct task *t[4];
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		t[i] = build_task(m, NULL);
		t[i]->stack = build_stack(m, i % 2 ? b : a, 1);
	}
	for (i = 0; i < 4; i++) {
		build_wait(m, t[i], OP_MUTEX_LOCK, build_mutex(m, 0x10 + i, NULL, t[i ^ 1]));
		build_stuck(t[i], REASON_CYCLE, 1 + (unsigned)i / 2);
	}
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	text = text_of(m, 1000);
	assert_has(text, "STUCK  T1-T4 (4 tasks): a cycle\n"
			 "  T1 waits for mutex 0x10, held by T2\n"
			 "  T2 waits for mutex 0x11, held by T1        ← a cycle: stuck\n"
			 "  T1, and 1 more like it:\n"
			 "    #0 a     x.c:1\n"
			 "  T2, and 1 more like it:\n"
			 "    #0 b     x.c:2\n");
	free(text);
	model_free(m);
}

static struct model *build_nasty(void)
{
	static char huge[4000];
	struct model *m = build_model();
	struct frame f[300];
	struct task *t;
	size_t i;

	memset(huge, 'x', sizeof(huge) - 1);
	for (i = 0; i < COUNT(f); i++)
		f[i] = (struct frame){ .function = i % 3 ? huge : "\xff\x1b[2J\n仕事",
				       .file = i % 2 ? huge : "a b c d/\r",
				       .module = i % 5 ? "m" : NULL,
				       .line = (int)i,
				       .inlined = i % 7 == 0,
				       .system = i % 4 == 0 };
	m->exe = huge;
	for (i = 0; i < 40; i++) {
		t = build_task(m, i % 2 ? "\x1b]0;title\a" : huge);
		t->stack = build_stack(m, f, 1 + 7 * i);
		t->stack->complete = i % 2;
		build_wait(m, t, i % 2 ? OP_MUTEX_LOCK : OP_COND_WAIT,
			   build_object(m, i % 2 ? OBJECT_MUTEX : OBJECT_COND, ~(uint64_t)i, huge));
		t->wait->object->live_because = i % 3 ? NULL : huge;
		t->live_because = i % 5 ? NULL : huge;
		if (i > 30)
			build_stuck(t, i % 11, (unsigned)i % 3);
	}
	build_io(m, t, huge);
	model_add_pseudo(m, huge);
	model_note(m, "%s", huge);
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	return m;
}

static void test_nasty_names_stay_in_their_columns(void **state)
{
	struct model *m = build_nasty();
	char *text = text_of(m, 1000), *json;
	const char *p;

	(void)state;
	for (p = text; *p; p++)
		assert_true((unsigned char)*p >= 0x20 || *p == '\n');
	free(text);
	json = build_report(m, "json", 1000, true);
	assert_has(json, "\"children\":[]}");
	free(json);
	model_free(m);
}

static void test_a_process_without_tasks(void **state)
{
	struct model *m = build_model();
	char *text;

	(void)state;
	m->seen = SEEN_NONE;
	m->pause_ns = 0;
	text = text_of(m, 10);
	assert_string_equal(text, "");
	free(text);
	model_note(m, "it was gone too soon");
	text = text_of(m, 10);
	assert_string_equal(text, "process 4711, /srv/shop: not looked at\n"
				  "\nNotes\n  - it was gone too soon\n");
	free(text);
	m->exe =
		"/a/very/long/path/that/leads/through/many/folders/until/it/gets/to/the/end/python3.11";
	text = text_of(m, 10);
	assert_has(text, "/until/it/gets/to/the/end/python3.11: not looked at\n");
	free(text);
	model_free(m);
}

static void test_created_by_is_shown(void **state)
{
	static const struct frame creator[] = { LIBC("pthread_create"),
						FRAME("open_shop", "/src/shop.c", 60, 50) };
	struct model *m = build_shop();
	char *text;

	(void)state;
	m->tasks[2]->parent = m->tasks[0];
	m->tasks[2]->created_by = build_stack(m, creator, COUNT(creator));
	text = text_of(m, 1000);
	assert_has(text, "    created by T1 at open_shop shop.c:60\n"
			 "      #1 open_shop  /src/shop.c:60\n");
	free(text);
	model_free(m);
}

/* The end of a program with one of each verdict, as run and check show it. */
static struct model *build_end(void)
{
	static const struct frame creator[] = { FRAME("open_shop", "/src/shop.c", 60, 50),
						FRAME("main", "/src/shop.c", 90, 70),
						LIBC("__libc_start_main") };
	static const struct frame place[] = { LIBC("pthread_mutex_lock"),
					      FRAME("work", "/src/shop.c", 40, 30) };
	static const struct frame starts[] = { FRAME("sweep", "/src/shop.c", 100, 100) };
	struct model *m = build_model();
	struct task *t[5];
	size_t i;

	for (i = 0; i < 5; i++) {
		t[i] = build_task(m, i ? NULL : "shop");
		if (!i)
			continue;
		t[i]->parent = t[0];
		t[i]->parent_number = 1;
		t[i]->created_by = build_stack(m, creator, COUNT(creator));
		t[i]->stack = build_stack(m, place, COUNT(place));
	}
	t[0]->main = t[0]->ends_process = true;
	build_wait(m, t[1], OP_MUTEX_LOCK, build_mutex(m, 0x10, "own", t[1]))->since_ns =
		1500000000;
	build_stuck(t[1], REASON_SELF, 0);
	build_io(m, t[2], "read(0) pipe");
	t[2]->verdict = VERDICT_ALIVE;
	for (i = 3; i < 5; i++) {
		t[i]->state = STATE_ENDED;
		t[i]->stack = NULL;
		t[i]->start = build_stack(m, starts, 1);
		t[i]->ended_unjoined = true;
		t[i]->verdict = VERDICT_UNJOINED;
	}
	m->moment = MOMENT_EXIT;
	m->exit_status = 3;
	model_note(m, "something made it milder");
	model_number_tasks(m);
	if (findings_make(m))
		abort();
	return m;
}

static const char end_report[] =
	"process 4711, /srv/shop, exited with 3: 5 tasks, 1 stuck, 1 alive, 2 unjoined (stopped for "
	"1.8 ms)\n"
	"\n"
	"STUCK  T2: its own lock\n"
	"  T2 waits for mutex 0x10 `own`, which it holds itself, for 1.5 s        ← stuck\n"
	"    #1 work  /src/shop.c:40\n"
	"    created by T1 at open_shop shop.c:60\n"
	"      #0 open_shop  /src/shop.c:60\n"
	"      #1 main       /src/shop.c:90\n"
	"\n"
	"ALIVE  T3: not finished when the process ended\n"
	"  T3 is in read(0) pipe\n"
	"    #1 work  /src/shop.c:40\n"
	"    created by T1 at open_shop shop.c:60\n"
	"      #0 open_shop  /src/shop.c:60\n"
	"      #1 main       /src/shop.c:90\n"
	"\n"
	"UNJOINED  T4, T5: finished, and nobody joined them\n"
	"    began in sweep shop.c:100\n"
	"    created by T1 at open_shop shop.c:60\n"
	"      #0 open_shop  /src/shop.c:60\n"
	"      #1 main       /src/shop.c:90\n"
	"\n"
	"Notes\n"
	"  - something made it milder\n";

static void test_the_end_of_a_program(void **state)
{
	struct model *m = build_end();
	char *text = text_of_some(m, 1000, false);

	(void)state;
	assert_string_equal(text, end_report);
	free(text);
	text = text_of(m, 1000);
	assert_has(text, "\nAll tasks by stack\n");
	assert_has(
		text,
		"T4, T5\n"
		"  T4 has ended, and nobody has joined it; the other likewise        ← unjoined: "
		"see above\n"
		"    T4 created by T1 at open_shop shop.c:60, called by main shop.c:90\n");
	free(text);
	model_free(m);
}

static void test_ends_in_words(void **state)
{
	struct model *m = build_model();
	char *text;

	(void)state;
	build_task(m, NULL);
	model_number_tasks(m);
	model_note(m, "of no use to who has no finding");
	m->moment = MOMENT_EXIT;
	m->exit_status = 0;
	text = text_of_some(m, 1000, false);
	assert_string_equal(text,
			    "process 4711, /srv/shop, exited with 0: 1 task, nothing left behind "
			    "(stopped for 1.8 ms)\n");
	free(text);
	m->lost = 2;
	text = text_of_some(m, 1000, false);
	assert_has(text, "1 task, nothing left behind, 2 records lost (stopped");
	assert_has(text, "Notes\n");
	free(text);
	m->lost = 0;
	m->moment = MOMENT_TIMEOUT;
	m->exit_status = -1;
	m->exit_signal = 9;
	text = text_of_some(m, 1000, false);
	assert_has(text, "process 4711, /srv/shop, ended by strand: 1 task, none proved stuck "
			 "(stopped for 1.8 ms when its\n    time was up)\n");
	free(text);
	m->moment = MOMENT_KILLED;
	m->exit_signal = 35;
	text = text_of_some(m, 1000, false);
	assert_has(text,
		   "killed by signal 35: 1 task, nothing proved (not stopped: it was gone)\n");
	assert_has(text, "All tasks by stack\n\nT1\n");
	free(text);
	model_free(m);
}

static void test_several_processes(void **state)
{
	struct model *m = build_end(), *silent = build_model(), *last = build_end();
	char *text;

	(void)state;
	silent->seen = SEEN_NONE;
	m->next = silent;
	silent->next = last;
	text = text_of_some(m, 1000, false);
	assert_int_equal(strlen(text), 2 * strlen(end_report) + 1);
	assert_memory_equal(text + strlen(end_report) + 1, end_report, strlen(end_report));
	free(text);
	silent->next = NULL;
	text = text_of_some(silent, 1000, false);
	assert_string_equal(text, "");
	free(text);
	model_free(m);
	model_free(silent);
	model_free(last);
}

static void test_groups_in_order(void **state)
{
	static const struct frame a[] = { FRAME("a", "x.c", 1, 1) };
	static const struct frame b[] = { FRAME("b", "x.c", 2, 1) };
	struct model *m = build_model();
	struct task *t[7];
	struct grouping g;
	size_t i;

	(void)state;
	for (i = 0; i < 7; i++) {
		t[i] = build_task(m, NULL);
		t[i]->stack = build_stack(m, i % 2 ? a : b, 1);
	}
	build_wait(m, t[5], OP_MUTEX_LOCK, build_mutex(m, 0x10, NULL, t[5]));
	build_stuck(t[5], REASON_SELF, 0);
	build_wait(m, t[3], OP_COND_WAIT, build_object(m, OBJECT_COND, 0x20, NULL));
	model_number_tasks(m);
	assert_int_equal(grouping_make((const struct task *const *)m->tasks, 7, &g), 0);
	assert_int_equal(g.count, 4); /* T6 stuck; T4 blocked; T1 T3 T5 T7 run in b; T2 in a */
	assert_ptr_equal(g.groups[0].tasks[0], t[5]);
	assert_ptr_equal(g.groups[1].tasks[0], t[3]);
	assert_int_equal(g.groups[2].count, 4);
	assert_ptr_equal(g.groups[2].tasks[0], t[0]);
	assert_ptr_equal(g.groups[2].tasks[3], t[6]);
	assert_int_equal(g.groups[2].cluster_count, 1);
	assert_ptr_equal(g.groups[3].tasks[0], t[1]);
	grouping_free(&g);
	model_free(m);
}

static void test_what_waits_hang_on(void **state)
{
	struct model *m = build_service(2, 4);
	struct task *indirect = build_task(m, NULL), *alone;
	struct hangs h;

	(void)state;
	alone = build_task(m, NULL);
	build_wait(m, indirect, OP_MUTEX_LOCK, build_mutex(m, 0x9000, NULL, m->tasks[7]));
	build_wait(m, alone, OP_COND_WAIT, build_object(m, OBJECT_COND, 0x7000, NULL));
	model_number_tasks(m);
	assert_int_equal(hangs_make(m, &h), 0);
	assert_int_equal(h.count, 3);
	assert_ptr_equal(h.hangs[0].end, m->tasks[1]);
	assert_null(h.hangs[0].object);
	assert_int_equal(h.hangs[0].count, 2);
	assert_int_equal(h.hangs[1].object->address, 0x5000);
	assert_int_equal(h.hangs[1].count, 5);
	assert_int_equal(h.hangs[1].direct, 4);
	assert_ptr_equal(h.hangs[1].tasks[4], indirect);
	assert_int_equal(h.hangs[2].count, 1);
	assert_ptr_equal(h.hangs[2].tasks[0], alone);
	hangs_free(&h);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example),
		cmocka_unit_test(test_colours_change_nothing_else),
		cmocka_unit_test(test_the_culprit_is_in_the_first_lines),
		cmocka_unit_test(test_ten_thousand_tasks_are_a_short_report),
		cmocka_unit_test(test_many_objects_at_one_place),
		cmocka_unit_test(test_a_list_that_is_cut_says_so),
		cmocka_unit_test(test_who_waits_for_a_stuck_task_without_being_stuck),
		cmocka_unit_test(test_all_asleep),
		cmocka_unit_test(test_two_cycles_at_the_same_places),
		cmocka_unit_test(test_nasty_names_stay_in_their_columns),
		cmocka_unit_test(test_a_process_without_tasks),
		cmocka_unit_test(test_created_by_is_shown),
		cmocka_unit_test(test_the_end_of_a_program),
		cmocka_unit_test(test_ends_in_words),
		cmocka_unit_test(test_several_processes),
		cmocka_unit_test(test_groups_in_order),
		cmocka_unit_test(test_what_waits_hang_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
