/* SPDX-License-Identifier: MIT */
/*
 * Findings: what the fingerprint of a site depends on and what it must not depend on, which tasks
 * share a finding, which stands for it, in which order they come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prove/findings.h"
#include "build_model.h"
#include "unit.h"

static const struct frame base[] = { LIBC("pthread_mutex_lock"),
				     FRAME("place", "/src/shop.c", 88, 80),
				     FRAME("worker", "/src/shop.c", 40, 30), LIBC("start_thread") };

static char *site_of(struct task *t)
{
	static char out[20];

	findings_site(t, out);
	return out;
}

/* The site of a task with that stack, as hex digits. */
static char *site_of_frames(const struct frame *frames, size_t n)
{
	struct model *m = build_model();
	struct task *t = build_task(m, "shop");
	char *site;

	t->stack = build_stack(m, frames, n);
	site = site_of(t);
	model_free(m);
	return site;
}

static char base_site[20];

static int set_up(void **state)
{
	(void)state;
	snprintf(base_site, sizeof(base_site), "%s", site_of_frames(base, COUNT(base)));
	return 0;
}

static void test_a_site_is_sixteen_digits(void **state)
{
	(void)state;
	assert_int_equal(strlen(base_site), 16);
	assert_int_equal(strspn(base_site, "0123456789abcdef"), 16);
	/* Kept in people's files: a change here is a change of format. */
	assert_string_equal(base_site, "e67338cea0cff4c3");
}

/* Another machine, another build, lines inserted above, another C library. */
static void test_a_site_stays(void **state)
{
	struct frame f[COUNT(base) + 1];

	(void)state;
	memcpy(f, base, sizeof(base));
	f[1].address += 0x7000;
	f[1].module_offset += 0x40;
	f[1].function_offset += 3;
	f[1].line += 12;
	f[1].function_line += 12;
	f[1].file = "/home/other/shop.c";
	f[0].function = "__lll_lock_wait";
	assert_string_equal(site_of_frames(f, COUNT(base)), base_site);
	assert_string_equal(site_of_frames(f + 1, COUNT(base) - 2), base_site);
}

static void assert_site_changes(const struct frame *f)
{
	assert_string_not_equal(site_of_frames(f, COUNT(base)), base_site);
}

static void test_a_site_is_the_place(void **state)
{
	struct frame f[COUNT(base)];

	(void)state;
	memcpy(f, base, sizeof(base));
	f[1].line++;
	assert_site_changes(f);
	memcpy(f, base, sizeof(base));
	f[1].function = "cancel";
	assert_site_changes(f);
	memcpy(f, base, sizeof(base));
	f[2].module = "libshop.so";
	assert_site_changes(f);
	memcpy(f, base, sizeof(base));
	f[1].system = true;
	assert_site_changes(f);
}

static void test_without_lines_the_offset_counts(void **state)
{
	struct frame f[COUNT(base)];
	char without_line[20];

	(void)state;
	memcpy(f, base, sizeof(base));
	f[1].line = f[1].function_line = 0;
	strcpy(without_line, site_of_frames(f, COUNT(base)));
	f[1].module_offset += 8;
	assert_string_equal(site_of_frames(f, COUNT(base)), without_line);
	f[1].function_offset += 8;
	assert_string_not_equal(site_of_frames(f, COUNT(base)), without_line);
	f[1].function = NULL;
	strcpy(without_line, site_of_frames(f, COUNT(base)));
	f[1].function_offset += 8;
	assert_string_equal(site_of_frames(f, COUNT(base)), without_line);
	f[1].module_offset += 8;
	assert_string_not_equal(site_of_frames(f, COUNT(base)), without_line);
}

static void test_a_stack_of_system_frames_only(void **state)
{
	static const struct frame a[] = { LIBC("pthread_join"), LIBC("start_thread") };
	static const struct frame b[] = { LIBC("pause"), LIBC("start_thread") };
	char site[20];

	(void)state;
	strcpy(site, site_of_frames(a, COUNT(a)));
	assert_string_not_equal(site_of_frames(b, COUNT(b)), site);
	assert_string_equal(site_of_frames(a, COUNT(a)), site);
}

static void test_the_creator_is_part_of_the_site(void **state)
{
	struct model *m = build_model();
	struct task *t = build_task(m, "shop");
	char site[20];

	(void)state;
	t->stack = build_stack(m, base, COUNT(base));
	strcpy(site, site_of(t));
	assert_string_equal(site, base_site);
	t->created_by = build_stack(m, base + 2, 1);
	assert_string_not_equal(site_of(t), site);
	t->verdict = VERDICT_UNJOINED;
	strcpy(site, site_of(t));
	t->stack = NULL;
	assert_string_equal(site_of(t), site);
	model_free(m);
}

/* Of a thread that has ended and was not joined the start routine counts, and who created it. */
static void test_the_site_of_the_unjoined(void **state)
{
	static const struct frame starts[] = { FRAME("worker", "/src/shop.c", 30, 30) };
	static const struct frame other[] = { FRAME("cleaner", "/src/shop.c", 90, 90) };
	struct model *m = build_model();
	struct task *t = build_task(m, "shop");
	char site[20];

	(void)state;
	t->verdict = VERDICT_UNJOINED;
	t->created_by = build_stack(m, base + 1, 1);
	strcpy(site, site_of(t));
	t->start = build_stack(m, starts, 1);
	assert_string_not_equal(site_of(t), site);
	strcpy(site, site_of(t));
	t->start = build_stack(m, other, 1);
	assert_string_not_equal(site_of(t), site);
	t->verdict = VERDICT_ALIVE; /* there the place where it is says more */
	t->stack = build_stack(m, base, COUNT(base));
	strcpy(site, site_of(t));
	t->start = build_stack(m, starts, 1);
	assert_string_equal(site_of(t), site);
	model_free(m);
}

/* One that runs does not stand for one that waits. */
static void test_the_longest_of_the_alive(void **state)
{
	struct model *m = build_model();
	struct task *t[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		t[i] = build_task(m, NULL);
		t[i]->stack = build_stack(m, base, COUNT(base));
		t[i]->verdict = VERDICT_ALIVE;
	}
	build_io(m, t[1], "read(0)");
	build_wait(m, t[2], OP_COND_WAIT, build_object(m, OBJECT_COND, 0x10, NULL))->since_ns = 5;
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	assert_int_equal(m->finding_count, 1);
	assert_ptr_equal(m->findings[0]->longest, t[2]);
	model_free(m);
}

static void test_tasks_share_a_finding(void **state)
{
	struct model *m = build_model();
	struct stack *s = build_stack(m, base, COUNT(base));
	struct object *o = build_mutex(m, 0x10, NULL, NULL);
	struct task *t[6];
	size_t i;

	(void)state;
	o->owner_state = OWNER_ENDED;
	for (i = 0; i < 6; i++) {
		t[i] = build_task(m, "shop");
		t[i]->stack = s;
		if (i != 1)
			build_wait(m, t[i], OP_MUTEX_LOCK, o)->since_ns = 100;
		if (i != 1)
			build_stuck(t[i], REASON_OWNER_ENDED, 0);
	}
	t[0]->system = true;
	t[3]->wait->since_ns = 500;
	t[4]->wait->since_ns = 500;
	t[5]->wait->since_ns = TIME_UNKNOWN;
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	assert_int_equal(m->finding_count, 1);
	assert_int_equal(m->findings[0]->count, 4);
	assert_ptr_equal(m->findings[0]->tasks[0], t[2]);
	assert_ptr_equal(m->findings[0]->tasks[3], t[5]);
	assert_ptr_equal(m->findings[0]->longest, t[3]);
	assert_null(t[0]->finding);
	assert_null(t[1]->finding);
	assert_ptr_equal(t[5]->finding, m->findings[0]);
	assert_string_equal(m->findings[0]->site, base_site);
	assert_string_not_equal(m->findings[0]->id, base_site);
	assert_int_equal(m->findings[0]->reason_lines, 1);
	assert_string_equal(m->findings[0]->reason_text[0],
			    "T4 waits for mutex 0x10, held by a thread that has ended, for 0 ms");
	model_free(m);
}

static void test_equally_long_waits_the_lowest_stands_for_all(void **state)
{
	struct model *m = build_model();
	struct stack *s = build_stack(m, base, COUNT(base));
	struct task *t[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		t[i] = build_task(m, NULL);
		t[i]->stack = s;
		build_wait(m, t[i], OP_COND_WAIT, build_object(m, OBJECT_COND, 0x10, NULL));
		build_stuck(t[i], REASON_ALL_ASLEEP, 0);
	}
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	assert_ptr_equal(m->findings[0]->longest, t[0]);
	assert_int_equal(m->findings[0]->reason_lines, 2);
	assert_string_equal(m->findings[0]->reason_text[1], "no task is live: nobody can wake it");
	model_free(m);
}

static void test_one_site_two_verdicts(void **state)
{
	struct model *m = build_model();
	struct task *stuck = build_task(m, NULL), *alive = build_task(m, NULL);
	struct finding **f;

	(void)state;
	alive->verdict = VERDICT_ALIVE;
	build_wait(m, stuck, OP_MUTEX_LOCK, build_mutex(m, 0x10, NULL, stuck));
	build_stuck(stuck, REASON_SELF, 0);
	stuck->stack = alive->stack = build_stack(m, base, COUNT(base));
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	f = m->findings;
	assert_int_equal(m->finding_count, 2);
	assert_int_equal(f[0]->verdict, VERDICT_STUCK);
	assert_int_equal(f[1]->verdict, VERDICT_ALIVE);
	assert_string_equal(f[0]->site, f[1]->site);
	assert_string_not_equal(f[0]->id, f[1]->id);
	model_free(m);
}

/* Cycles first, then other causes, then what hangs on them: T1 joins a stuck one. */
static void test_causes_come_before_what_follows_from_them(void **state)
{
	struct model *m = build_shop();
	struct finding **f = m->findings;

	(void)state;
	assert_int_equal(m->finding_count, 3);
	assert_string_equal(f[0]->tasks[0]->id, "T3");
	assert_string_equal(f[1]->tasks[0]->id, "T4");
	assert_string_equal(f[2]->tasks[0]->id, "T1");
	assert_int_equal(f[0]->group, 1);
	assert_int_equal(f[1]->group, 1);
	assert_int_equal(f[2]->group, 0);
	assert_string_equal(f[0]->reason_text[0],
			    "T3 waits for mutex 0x4c40 `users_lock`, held by T4");
	assert_string_equal(f[0]->reason_text[1],
			    "T4 waits for mutex 0x4c10 `orders_lock`, held by T3");
	assert_int_equal(f[0]->reason_lines, 2);
	assert_int_equal(f[2]->reason_lines, 3);
	model_free(m);
}

static void test_no_findings(void **state)
{
	struct model *m = build_model();

	(void)state;
	assert_int_equal(findings_make(m), 0);
	assert_int_equal(m->finding_count, 0);
	build_task(m, "shop");
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	assert_int_equal(m->finding_count, 0);
	model_free(m);
}

static void test_every_task_at_a_place_of_its_own(void **state)
{
	struct frame f[COUNT(base)];
	struct model *m = build_model();
	size_t i;

	(void)state;
	memcpy(f, base, sizeof(base));
	for (i = 0; i < 500; i++) {
		struct task *t = build_task(m, NULL);

		f[1].line = 1000 + (int)i;
		t->stack = build_stack(m, f, COUNT(base));
		build_wait(m, t, OP_COND_WAIT, build_object(m, OBJECT_COND, 0x10, NULL));
		build_stuck(t, REASON_ALL_ASLEEP, 0);
	}
	model_number_tasks(m);
	assert_int_equal(findings_make(m), 0);
	assert_int_equal(m->finding_count, 500);
	for (i = 0; i < 500; i++)
		assert_ptr_equal(m->findings[i]->tasks[0], m->tasks[i]);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_site_is_sixteen_digits),
		cmocka_unit_test(test_a_site_stays),
		cmocka_unit_test(test_a_site_is_the_place),
		cmocka_unit_test(test_without_lines_the_offset_counts),
		cmocka_unit_test(test_a_stack_of_system_frames_only),
		cmocka_unit_test(test_the_creator_is_part_of_the_site),
		cmocka_unit_test(test_the_site_of_the_unjoined),
		cmocka_unit_test(test_the_longest_of_the_alive),
		cmocka_unit_test(test_tasks_share_a_finding),
		cmocka_unit_test(test_equally_long_waits_the_lowest_stands_for_all),
		cmocka_unit_test(test_one_site_two_verdicts),
		cmocka_unit_test(test_causes_come_before_what_follows_from_them),
		cmocka_unit_test(test_no_findings),
		cmocka_unit_test(test_every_task_at_a_place_of_its_own),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
