/* SPDX-License-Identifier: MIT */
/*
 * Layout as pure functions: clean UTF-8, cutting and breaking by columns, ids as ranges.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/layout.h"
#include "report/utf8.h"
#include "build_model.h"
#include "unit.h"

static void assert_printable(const char *bytes, const char *expected)
{
	char *clean = utf8_printable(bytes);

	assert_string_equal(clean, expected);
	free(clean);
}

static void test_what_a_terminal_would_act_upon(void **state)
{
	(void)state;
	assert_printable("worker-1 käse 仕事", "worker-1 käse 仕事");
	assert_printable("\x1b[31mred\a\r\n\x7f", "?[31mred????");
	assert_printable("a\xe2\x80\xaegnp.exe", "a?gnp.exe"); /* turned direction */
	assert_printable("\xc2\x9b[0m", "?[0m");	       /* a control of two bytes */
	assert_printable("\xff\xe4", "\xef\xbf\xbd\xef\xbf\xbd");
	assert_printable("\xf5\x80\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_printable("\xf0\x9f\x98\x80!", "\xf0\x9f\x98\x80!");
	assert_printable("", "");
}

static void test_columns(void **state)
{
	(void)state;
	assert_int_equal(utf8_columns(""), 0);
	assert_int_equal(utf8_columns("käse"), 4);
	assert_int_equal(utf8_columns("仕事"), 4);
	assert_int_equal(utf8_columns("e\xcc\x81"), 1);
	assert_int_equal(utf8_prefix("仕事", 3), 3);
	assert_int_equal(utf8_prefix("e\xcc\x81x", 1), 3);
	assert_int_equal(utf8_suffix("仕事", 3), 3);
	assert_int_equal(utf8_suffix("xe\xcc\x81", 1), 3);
	assert_int_equal(utf8_suffix("abc", 9), 3);
}

static void test_cut_in_the_middle(void **state)
{
	char buf[64];

	(void)state;
	layout_cut_middle("short", 5, buf, sizeof(buf));
	assert_string_equal(buf, "short");
	layout_cut_middle("operations", 7, buf, sizeof(buf));
	assert_string_equal(buf, "ope…ons");
	layout_cut_middle("仕事仕事", 5, buf, sizeof(buf));
	assert_string_equal(buf, "仕…事");
	layout_cut_path("/home/me/src/pool/worker.c:40", 19, buf, sizeof(buf));
	assert_string_equal(buf, "…/pool/worker.c:40");
	layout_cut_path("/home/me/src/pool/worker.c:40", 18, buf, sizeof(buf));
	assert_string_equal(buf, "…/pool/worker.c:40");
	layout_cut_path("/home/me/src/pool/worker.c:40", 17, buf, sizeof(buf));
	assert_string_equal(buf, "…/worker.c:40");
	layout_cut_path("/a/averylongfilename.c:12", 12, buf, sizeof(buf));
	assert_string_equal(buf, "/a/ave….c:12");
	layout_cut_path("/a.c:1", 20, buf, sizeof(buf));
	assert_string_equal(buf, "/a.c:1");
}

static void test_lines_break_at_spaces(void **state)
{
	(void)state;
	assert_int_equal(layout_fit("one two three", 20), 13);
	assert_int_equal(layout_fit("one two three", 8), 7);
	assert_int_equal(layout_fit("one two three", 7), 7);
	assert_int_equal(layout_fit("one two three", 6), 3);
	assert_int_equal(layout_fit("wholeword", 4), 4);
	assert_int_equal(layout_fit("", 4), 0);
	assert_int_equal(layout_fit("仕事", 1), 6);
}

static struct task **make_tasks(struct model *m, const char *numbers)
{
	for (const char *p = numbers; *p; p += strspn(p, " ")) {
		struct task *t = model_add_task(m, TASK_GOROUTINE);

		t->goid = strtoul(p, (char **)&p, 10);
	}
	model_number_tasks(m);
	return m->tasks;
}

static void assert_ids(const char *numbers, size_t columns, const char *expected)
{
	struct model *m = build_model();
	const struct task *const *tasks = (const struct task *const *)make_tasks(m, numbers);
	char buf[128];

	layout_ids(tasks, m->task_count, columns, buf, sizeof(buf));
	assert_string_equal(buf, expected);
	model_free(m);
}

static void test_ids_as_ranges(void **state)
{
	(void)state;
	assert_ids("", 40, "");
	assert_ids("7", 40, "G7");
	assert_ids("3 4", 40, "G3, G4");
	assert_ids("3 4 5", 40, "G3-G5");
	assert_ids("1 3 4 5 6 9 12 13", 40, "G1, G3-G6, G9, G12, G13");
	assert_ids("1 3 5 7 9 11 13", 14, "G1, G3, G5, …");
	assert_ids("1 3 5 7", 14, "G1, G3, G5, G7");
	assert_ids("100000 100002", 3, "G100000, …");
}

static void test_ids_of_different_kinds_are_no_range(void **state)
{
	struct model *m = build_model();
	char buf[64];

	(void)state;
	build_task(m, NULL);
	build_task(m, NULL);
	model_add_task(m, TASK_GOROUTINE)->goid = 3;
	model_add_task(m, TASK_GOROUTINE)->goid = 4;
	model_number_tasks(m);
	layout_ids((const struct task *const *)m->tasks, 4, 40, buf, sizeof(buf));
	assert_string_equal(buf, "T1, T2, G3, G4");
	layout_ids((const struct task *const *)m->tasks, 4, 40, buf, 12);
	assert_string_equal(buf, "T1, T2, …");
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_terminal_would_act_upon),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_cut_in_the_middle),
		cmocka_unit_test(test_lines_break_at_spaces),
		cmocka_unit_test(test_ids_as_ranges),
		cmocka_unit_test(test_ids_of_different_kinds_are_no_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
