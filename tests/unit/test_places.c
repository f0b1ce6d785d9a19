/* SPDX-License-Identifier: MIT */
/*
 * Sentences on where an object lies, who refers to it and how it is reached; and that a chain and
 * --why use them.
 */
#include <stdlib.h>
#include <string.h>

#include "prove/chain.h"
#include "prove/places.h"
#include "report/report.h"
#include "build_model.h"
#include "unit.h"

#define START UINT64_C(0x5500)

/* T1 polls, T2 and T3 wait on one cond, 120 bytes into a block of 168. */
struct scene {
	struct model *m;
	struct task *t1, *t2, *t3;
	struct object *cond;
	struct place home;
};

static int set_up(void **state)
{
	static struct scene s;

	s.m = build_model();
	s.t1 = build_task(s.m, "shop");
	s.t2 = build_task(s.m, "worker");
	s.t3 = build_task(s.m, "worker");
	s.cond = build_object(s.m, OBJECT_COND, START + 120, NULL);
	s.home = (struct place){
		.kind = PLACE_BLOCK, .start = START, .bytes = 168, .at = START + 120
	};
	s.cond->home = &s.home;
	build_io(s.m, s.t1, "poll(3 fds) pipe:[12]");
	build_wait(s.m, s.t2, OP_COND_WAIT, s.cond);
	build_wait(s.m, s.t3, OP_COND_WAIT, s.cond);
	model_number_tasks(s.m);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	model_free(s->m);
	return 0;
}

#define assert_words(call, expected)                 \
	do {                                         \
		char line[512];                      \
		struct words w;                      \
		words_begin(&w, line, sizeof(line)); \
		call;                                \
		assert_string_equal(line, expected); \
	} while (0)

static void set_referrers(struct scene *s, struct task **v, size_t n)
{
	s->cond->referrers = v;
	s->cond->referrer_count = n;
}

static void test_who_refers_to_what_nobody_reaches(void **state)
{
	struct scene *s = *state;
	struct task *both[] = { s->t2, s->t3 }, *many[8];

	set_referrers(s, both, 0);
	assert_words(places_describe_unreached(s->t2, &w),
		     "no live task can reach the cond: nothing refers to it");
	set_referrers(s, both, 1);
	assert_words(places_describe_unreached(s->t2, &w),
		     "no live task can reach the cond: only T2 itself refers to it");
	assert_words(places_describe_unreached(s->t3, &w),
		     "no live task can reach the cond: only T2 refers to it, which is stuck");
	set_referrers(s, both, 2);
	assert_words(places_describe_unreached(s->t2, &w),
		     "no live task can reach the cond: only T2 and T3 refer to it, both stuck");
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = s->t2;
	set_referrers(s, many, COUNT(many));
	assert_words(
		places_describe_unreached(s->t2, &w),
		"no live task can reach the cond: only T2, T2, T2, T2 and 4 more refer to it, all "
		"stuck");
	s->cond->home = NULL;
	assert_words(places_describe_unreached(s->t2, &w), "no live task can reach the cond");
}

static void test_where_it_lies(void **state)
{
	struct scene *s = *state;

	assert_words(places_describe_home(s->cond, &w),
		     "it lies 120 bytes into a heap block of 168 at 0x5500");
	s->home.start = s->cond->address;
	assert_words(places_describe_home(s->cond, &w),
		     "it lies at the start of a heap block of 168 at 0x5578");
	s->home.start = START;
	s->home.type = "struct queue";
	assert_words(places_describe_home(s->cond, &w),
		     "it lies 120 bytes into a heap block of 168 at 0x5500, `struct queue`");
	s->home.member = "shards[2].changed";
	assert_words(places_describe_home(s->cond, &w),
		     "it lies 120 bytes into a heap block of 168 at 0x5500, `struct queue`: member "
		     "`shards[2].changed`");
	s->home = (struct place){ .kind = PLACE_MAPPING, .start = 0x5000 };
	assert_words(places_describe_home(s->cond, &w),
		     "it lies 1400 bytes into memory mapped at 0x5000");
	s->home = (struct place){ .kind = PLACE_STACK, .task = s->t2 };
	assert_words(places_describe_home(s->cond, &w), "it lies on the stack of T2");
	s->home = (struct place){ .kind = PLACE_LOCALS };
	assert_words(places_describe_home(s->cond, &w), "it lies in thread-locals of a thread");
	s->home = (struct place){ .kind = PLACE_MAIN_FRAME };
	assert_words(places_describe_home(s->cond, &w), "it lies in the frame that main had");
	s->cond->home = NULL;
	assert_words(places_describe_home(s->cond, &w), "");
}

static void assert_end(const struct scene *s, const char *expected)
{
	char line[CHAIN_LINE_BYTES];

	chain_describe_end(s->m, s->t2, line, sizeof(line));
	assert_string_equal(line, expected);
}

static void test_who_reaches_it(void **state)
{
	struct scene *s = *state;
	struct place path[4] = { { .kind = PLACE_STACK, .task = s->t1 }, s->home };

	s->cond->path = path;
	s->cond->path_length = 2;
	assert_end(s, "not stuck: T1 (poll(3 fds)) may signal it: its stack points to it");
	path[0].kind = PLACE_LOCALS;
	assert_end(s,
		   "not stuck: T1 (poll(3 fds)) may signal it: one of its thread-locals points to "
		   "it");
	path[0].kind = PLACE_REGISTERS;
	assert_end(s,
		   "not stuck: T1 (poll(3 fds)) may signal it: one of its registers points to it");
	path[0].kind = PLACE_DESCRIPTOR;
	assert_end(s,
		   "not stuck: T1 (poll(3 fds)) may signal it: its thread-specific data points to "
		   "it");
	path[0] = (struct place){ .kind = PLACE_STACK };
	assert_end(s, "not stuck: a live thread may signal it: its stack points to it");
	path[0] = (struct place){ .kind = PLACE_KERNEL, .name = "epoll data of descriptor 5" };
	assert_end(s,
		   "not stuck: any live task may signal it: epoll data of descriptor 5 points to "
		   "it");
	path[0] = (struct place){ .kind = PLACE_STATIC, .name = "the_pool" };
	assert_end(s,
		   "not stuck: any live task may signal it: static data `the_pool` points to it");
	path[0].task = NULL;
	path[2] = path[3] = path[1];
	s->cond->path_length = 3;
	assert_end(s, "not stuck: any live task may signal it: static data `the_pool` leads to it "
		      "through a heap block");
	s->cond->path_length = 4;
	assert_end(s, "not stuck: any live task may signal it: static data `the_pool` leads to it "
		      "through 2 heap blocks");
	path[1].kind = PLACE_MAPPING;
	assert_end(s, "not stuck: any live task may signal it: static data `the_pool` leads to it "
		      "through 2 places");
	path[0] = (struct place){ .kind = PLACE_STACK, .task = s->t3 };
	s->cond->path_length = 1;
	assert_end(s, "not stuck: T3 (cond-wait) may signal it: it lies on its stack");
	path[0].task = s->t2;
	assert_end(s, "not proved: it came to this wait only a moment ago");
}

static void test_live_though_nobody_reaches_it(void **state)
{
	struct scene *s = *state;

	assert_end(s, "not proved: it came to this wait only a moment ago");
	s->m->cancels = true;
	s->t2->wait->cancellation_point = true;
	assert_end(s, "not stuck: a live task may cancel it");
}

static void test_the_way_to_it(void **state)
{
	struct scene *s = *state;
	struct place path[] = {
		{ .kind = PLACE_STATIC, .at = 0x4010, .name = "the_pool" },
		{ .kind = PLACE_BLOCK, .start = 0x5400, .bytes = 24, .at = 0x5408 },
		s->home,
		{ .kind = PLACE_REGISTERS, .task = s->t1 },
		{ .kind = PLACE_REGISTERS,
		  .task = s->t1,
		  .name = "the argument of its start routine" },
		{ .kind = PLACE_STACK,
		  .task = s->t1,
		  .start = 0x7000,
		  .at = 0x7008,
		  .member = "q" },
	};

	s->cond->path = path;
	s->cond->path_length = COUNT(path);
	assert_words(places_describe_step(s->cond, 0, &w), "static data `the_pool` at 0x4010");
	assert_words(places_describe_step(s->cond, 1, &w), "heap block of 24 at 0x5400, +8");
	path[1].type = "struct pool";
	path[1].member = "queue";
	assert_words(places_describe_step(s->cond, 1, &w),
		     "heap block of 24 at 0x5400, `struct pool`, +8: member `queue`");
	assert_words(places_describe_step(s->cond, 2, &w), "heap block of 168 at 0x5500, +120");
	assert_words(places_describe_step(s->cond, 3, &w), "a register of T1");
	assert_words(places_describe_step(s->cond, 4, &w),
		     "the argument of its start routine (T1)");
	assert_words(places_describe_step(s->cond, 5, &w), "the stack of T1 at 0x7008, `q`");
}

static void assert_why(const struct scene *s, const char *id, const char *expected)
{
	struct report_options o = { .max_tasks = 10, .why = id };
	struct err e = { 0 };
	char *text = NULL, *end;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	assert_int_equal(report_find("text")->write(s->m, &o, f, &e), 0);
	fclose(f);
	end = strstr(text, "\n\nWhat");
	if (end)
		*end = '\0';
	if (!strstr(text, expected))
		fail_msg("no\n%s\nin\n%s", expected, text);
	free(text);
}

static void test_why(void **state)
{
	struct scene *s = *state;
	struct place path[] = { { .kind = PLACE_STATIC, .at = 0x4010, .name = "queue" }, s->home };

	s->cond->path = path;
	s->cond->path_length = 2;
	assert_why(s, "T2",
		   "Why T2 is not stuck\n"
		   "  T2 waits on cond 0x5578\n"
		   "  not stuck: any live task may signal it: static data `queue` points to it\n"
		   "    static data `queue` at 0x4010\n"
		   "    → heap block of 168 at 0x5500, +120\n"
		   "    = cond 0x5578");
	assert_why(s, "T1", "Why T1 is not stuck\n  T1 is in poll(3 fds) pipe:[12]  ");
	assert_why(s, "T1", "← live by itself");
	assert_why(s, "T9", "There is no T9 in process 4711");
	s->cond->path_length = 0;
	s->cond->everybodys = true;
	assert_why(s, "T2", "    it lies in static data: every live task reaches it");
	s->cond->everybodys = false;
	s->cond->home = NULL;
	s->m->proof = PROOF_OWNERS;
	assert_why(s, "T2", "    who can reach it is not known: the notes say why");
}

static void test_a_chain_that_ends_out_of_reach(void **state)
{
	static struct chain_text text;
	struct scene *s = *state;
	struct task *self[] = { s->t2 };

	set_referrers(s, self, 1);
	build_stuck(s->t2, REASON_UNREACHABLE, 0);
	chain_write(s->m, s->t2, &text);
	assert_int_equal(text.n, 3);
	assert_string_equal(text.lines[0], "T2 waits on cond 0x5578");
	assert_string_equal(text.lines[1], "it lies 120 bytes into a heap block of 168 at 0x5500");
	assert_string_equal(text.lines[2],
			    "no live task can reach the cond: only T2 itself refers to it");
	assert_string_equal(text.remark, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_refers_to_what_nobody_reaches, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_where_it_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_reaches_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_live_though_nobody_reaches_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_way_to_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_why, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_chain_that_ends_out_of_reach, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
