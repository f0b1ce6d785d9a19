/* SPDX-License-Identifier: MIT */
/*
 * Options: values, where they may come from and who wins, and what is said when they are wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/options.h"
#include "cmd/values.h"
#include "build_model.h"
#include "unit.h"

#define MS   INT64_C(1000000)
#define ARGS (const char *const[])

static struct options o;
static char said[1024];

static int read_as(enum command c, const char *environment, const char *const *args)
{
	struct err e = { 0 };
	int err;

	options_free(&o);
	err = options_read(&o, c, environment, args, &e);
	said[0] = '\0';
	if (err < 0)
		err_format(&e, said, sizeof(said));
	return err;
}

static int read_all(const char *environment, const char *const *args)
{
	return read_as(COMMAND_ATTACH, environment, args);
}

/* One wrong argument, or two; every message is one line and names the command. */
static void assert_refused(const char *const *args, const char *message)
{
	assert_int_equal(read_all(NULL, args), ERR_USAGE);
	assert_string_equal(said, message);
	assert_null(strchr(said, '\n'));
}

static void assert_environment_refused(const char *environment, const char *message)
{
	assert_int_equal(read_all(environment, ARGS{ "1", NULL }), ERR_USAGE);
	assert_string_equal(said, message);
}

static int tear_down(void **state)
{
	(void)state;
	options_free(&o);
	return 0;
}

static void test_defaults(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(read_all(NULL, ARGS{ "4711", NULL }), 0);
	assert_int_equal(o.output_count, 1);
	assert_string_equal(o.outputs[0].writer->name, "text");
	assert_null(o.outputs[0].file);
	for (i = 0; i < FAILURE_COUNT; i++)
		assert_false(o.fails[i]);
	assert_int_equal(o.exit_code, 66);
	assert_int_equal(o.max_pause_ns, 2000 * MS);
	assert_int_equal(o.max_tasks, 10000);
	assert_int_equal(o.word_count, 1);
	assert_string_equal(o.words[0], "4711");
	assert_null(o.words[1]);
}

static void test_every_way_to_give_a_value(void **state)
{
	(void)state;
	assert_int_equal(read_all(NULL, ARGS{ "--exit-code=7", "--max-tasks", "12", "-ofile",
					      "--max-pause=1.5s", "4711", "--fail-on",
					      "stuck,alive:8", NULL }),
			 0);
	assert_int_equal(o.exit_code, 7);
	assert_int_equal(o.max_tasks, 12);
	assert_string_equal(o.outputs[0].file, "file");
	assert_int_equal(o.max_pause_ns, 1500 * MS);
	assert_true(o.fails[FAILURE_STUCK] && o.fails[FAILURE_ALIVE]);
	assert_false(o.fails[FAILURE_UNJOINED] || o.fails[FAILURE_GROWING]);
	assert_int_equal(o.allowed[FAILURE_ALIVE], 8);
	assert_int_equal(o.allowed[FAILURE_STUCK], 0);
	assert_int_equal(read_all(NULL, ARGS{ "-o", "file", "--", "-1", "--help", NULL }), 0);
	assert_int_equal(o.word_count, 2);
	assert_string_equal(o.words[1], "--help");
	assert_false(o.help);
	assert_int_equal(read_all(NULL, ARGS{ "-", NULL }), 0);
	assert_string_equal(o.words[0], "-");
}

static void test_defaults_of_run_and_check(void **state)
{
	(void)state;
	assert_int_equal(read_as(COMMAND_CHECK, NULL, ARGS{ "true", NULL }), 0);
	assert_true(o.fails[FAILURE_STUCK]);
	assert_false(o.fails[FAILURE_ALIVE] || o.fails[FAILURE_UNJOINED] ||
		     o.fails[FAILURE_GROWING]);
	assert_int_equal(o.grace_ns, 100 * MS);
	assert_int_equal(o.timeout_ns, 0);
	assert_false(o.all || o.no_children || o.no_stop_on_deadlock || o.blind_warns);
	assert_true(o.outputs[0].error && !o.outputs[0].file);
	assert_int_equal(read_as(COMMAND_RUN, NULL, ARGS{ "true", NULL }), 0);
	assert_false(o.fails[FAILURE_STUCK]);
	assert_true(o.outputs[0].error);
	assert_int_equal(read_all(NULL, ARGS{ "1", NULL }), 0);
	assert_true(o.all && !o.outputs[0].error);
}

static void test_options_of_run_and_check(void **state)
{
	(void)state;
	assert_int_equal(read_as(COMMAND_CHECK, "--grace=5s",
				 ARGS{ "--timeout=1.5", "--no-stop-on-deadlock", "--no-children",
				       "--if-blind=warn", "--all", "--fail-on=alive", "-o", "-",
				       "true", NULL }),
			 0);
	assert_int_equal(o.timeout_ns, 1500 * MS);
	assert_int_equal(o.grace_ns, 5000 * MS);
	assert_true(o.all && o.no_children && o.no_stop_on_deadlock && o.blind_warns);
	assert_false(o.fails[FAILURE_STUCK]);
	assert_true(o.fails[FAILURE_ALIVE]);
	assert_true(!o.outputs[0].file && !o.outputs[0].error);
	assert_int_equal(read_as(COMMAND_CHECK, NULL,
				 ARGS{ "--format=json:-", "--format=text", "true", NULL }),
			 0);
	assert_true(!o.outputs[0].error && o.outputs[1].error);
	assert_int_equal(read_as(COMMAND_CHECK, NULL, ARGS{ "--grace=0", "true", NULL }), 0);
	assert_int_equal(o.grace_ns, 0);
}

/* What stands behind the program's name is the program's. */
static void test_words_of_a_program(void **state)
{
	(void)state;
	assert_int_equal(
		read_as(COMMAND_RUN, NULL, ARGS{ "--all", "prog", "--help", "--", "-x", NULL }), 0);
	assert_int_equal(o.word_count, 4);
	assert_string_equal(o.words[1], "--help");
	assert_string_equal(o.words[2], "--");
	assert_true(o.all && !o.help);
	assert_int_equal(read_as(COMMAND_RUN, NULL, ARGS{ "--", "--prog", "--all", NULL }), 0);
	assert_int_equal(o.word_count, 2);
	assert_string_equal(o.words[0], "--prog");
	assert_false(o.all);
}

static void test_formats_and_their_files(void **state)
{
	(void)state;
	assert_int_equal(read_all(NULL, ARGS{ "--format=json:a:b", "--format", "text", NULL }), 0);
	assert_int_equal(o.output_count, 2);
	assert_string_equal(o.outputs[0].writer->name, "json");
	assert_string_equal(o.outputs[0].file, "a:b");
	assert_null(o.outputs[1].file);
	assert_int_equal(read_all(NULL, ARGS{ "--format=json", "-o", "-", NULL }), 0);
	assert_null(o.outputs[0].file);
	assert_refused(
		ARGS{ "--format=json", "--format=text", NULL },
		"attach: --format: only one report can go to standard output (give the others a "
		"file: --format=text:FILE)");
	assert_refused(
		ARGS{ "--format=json:-", "--format=text", NULL },
		"attach: --format: only one report can go to standard output (give the others a "
		"file: --format=text:FILE)");
	assert_refused(ARGS{ "--format=json:x", "--format=text:x", NULL },
		       "attach: --format: two reports would go to 'x'");
	assert_refused(
		ARGS{ "--format=json:x", "-oy", NULL },
		"attach: --output and --format=json:FILE both say where the report goes (give "
		"one of them)");
	assert_refused(ARGS{ "--format=json:x", "--format=text", "-oy", NULL },
		       "attach: --output works with exactly one format (give each a file: "
		       "--format=NAME:FILE)");
	assert_refused(ARGS{ "--format=xml", NULL },
		       "attach: --format=xml: there is no such format; there are: text json");
	assert_refused(ARGS{ "--format=jso", NULL },
		       "attach: --format=jso: there is no such format; there are: text json");
	assert_refused(ARGS{ "--format=json:", NULL },
		       "attach: --format=json:: a file name is needed behind the colon");
	assert_refused(ARGS{ "--output=", NULL }, "attach: --output=: a file name is needed");
}

static void test_wrong_options(void **state)
{
	(void)state;
	assert_refused(ARGS{ "--fromat=json", NULL },
		       "attach: there is no option --fromat (did you mean --format?)");
	assert_refused(ARGS{ "--max", NULL },
		       "attach: there is no option --max (did you mean --max-pause?)");
	assert_refused(ARGS{ "--frobnicate", NULL },
		       "attach: there is no option --frobnicate (strand attach --help lists them)");
	assert_refused(ARGS{ "-x", NULL },
		       "attach: there is no option -x (strand attach --help lists them)");
	assert_refused(ARGS{ "--timeout=3", NULL },
		       "attach: --timeout is not an option of this command (only of run, check)");
	assert_refused(ARGS{ "--all", NULL },
		       "attach: --all is not an option of this command (only of run, check)");
	assert_refused(ARGS{ "--help=now", NULL }, "attach: --help takes no value");
	assert_refused(ARGS{ "1", "--exit-code", NULL },
		       "attach: --exit-code needs a value (--exit-code=N)");
	assert_refused(ARGS{ "-o", NULL }, "attach: --output needs a value (--output=FILE)");
	assert_refused(ARGS{ "--\nx\x1b[1m", NULL },
		       "attach: there is no option --?x?[1m (strand attach --help lists them)");
}

static void assert_value_refused(const char *option, const char *values)
{
	char *list = strdup(values), *save = NULL, *value, arg[200];

	for (value = strtok_r(list, " ", &save); value; value = strtok_r(NULL, " ", &save)) {
		snprintf(arg, sizeof(arg), "--%s=%s", option, value);
		if (read_all(NULL, ARGS{ arg, NULL }) != ERR_USAGE)
			fail_msg("%s is taken", arg);
		snprintf(arg, sizeof(arg), "attach: --%s=%s: ", option, value);
		assert_int_equal(strncmp(said, arg, strlen(arg)), 0);
	}
	snprintf(arg, sizeof(arg), "--%s=", option);
	assert_int_equal(read_all(NULL, ARGS{ arg, NULL }), ERR_USAGE);
	free(list);
}

static void test_wrong_values(void **state)
{
	(void)state;
	assert_value_refused("exit-code", "0 256 -1 +1 1.0 x 0x10 99999999999999999999999");
	assert_value_refused("max-tasks", "0 -5 1e3 18446744073709551616 ten");
	assert_value_refused("max-pause",
			     "0 0.1ms 61m 3601s -1 1h 5x ms 1.s .5s 1s5 99999999999999m");
	assert_value_refused("fail-on",
			     "stack stuck, ,stuck none,stuck stuck:x stuck: none:1 STUCK");
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{ "500", 500 * MS },	     { "500ms", 500 * MS },
		{ "2s", 2000 * MS },	     { "1m", 60000 * MS },
		{ "60m", 3600000 * MS },     { "0.25s", 250 * MS },
		{ "1.5", 1500 * MS / 1000 }, { "1.000000001s", 1000 * MS + 1 },
	};
	int64_t ns;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(value_read_duration(rows[i].text, MS, MS, 3600000 * MS, &ns), 0);
		assert_int_equal(ns, rows[i].ns);
	}
}

static void test_fail_on(void **state)
{
	(void)state;
	assert_int_equal(read_all(NULL, ARGS{ "--fail-on=stuck", "--fail-on=growing:3", NULL }), 0);
	assert_false(o.fails[FAILURE_STUCK]);
	assert_true(o.fails[FAILURE_GROWING]);
	assert_int_equal(o.allowed[FAILURE_GROWING], 3);
	assert_int_equal(read_all(NULL, ARGS{ "--fail-on=stuck", "--fail-on=none", NULL }), 0);
	assert_false(o.fails[FAILURE_STUCK] || o.fails[FAILURE_GROWING]);
}

static void test_the_environment(void **state)
{
	(void)state;
	assert_int_equal(read_all("--exit-code 9 --format=json:'a b' --max-tasks=5",
				  ARGS{ "--max-tasks=6", "1", NULL }),
			 0);
	assert_int_equal(o.exit_code, 9);
	assert_int_equal(o.max_tasks, 6);
	assert_string_equal(o.outputs[0].file, "a b");
	assert_int_equal(o.word_count, 1);
	/* What the command line repeats, it replaces. */
	assert_int_equal(read_all("--format=json:a --format=text:b", ARGS{ "--format=json", NULL }),
			 0);
	assert_int_equal(o.output_count, 1);
	assert_null(o.outputs[0].file);
	/* Options of other commands mean nothing here, with their values. */
	assert_int_equal(read_all("--timeout 3 --all --grace=5 --exit-code=8", ARGS{ NULL }), 0);
	assert_int_equal(o.exit_code, 8);
	assert_int_equal(o.word_count, 0);
	assert_int_equal(read_all("", ARGS{ NULL }), 0);
}

static void test_a_wrong_environment(void **state)
{
	(void)state;
	assert_environment_refused("--timout=3", "STRAND_OPTIONS: there is no option --timout (did "
						 "you mean --timeout?)");
	assert_environment_refused("4711", "STRAND_OPTIONS: '4711' is not an option");
	assert_environment_refused("-- x", "STRAND_OPTIONS: 'x' is not an option");
	assert_environment_refused("--exit-code=0",
				   "STRAND_OPTIONS: --exit-code=0: not a status from 1 to 255");
	assert_environment_refused("--timeout", "STRAND_OPTIONS: --timeout needs a value "
						"(--timeout=SEC)");
	assert_environment_refused("--output 'x",
				   "STRAND_OPTIONS: a quote or a backslash ends nowhere");
}

static void assert_split(const char *line, const char *expected)
{
	char **words, *strings, joined[200] = "";
	struct err e = { 0 };
	size_t i;

	assert_int_equal(options_split(line, &words, &strings, &e), 0);
	for (i = 0; words[i]; i++) {
		strcat(joined, words[i]);
		strcat(joined, "|");
	}
	assert_string_equal(joined, expected);
	free(words);
	free(strings);
}

static void test_split_as_a_shell_would(void **state)
{
	struct err e = { 0 };
	char **words, *strings;

	(void)state;
	assert_split("", "");
	assert_split(" \t\n ", "");
	assert_split("a b\tc\nd ", "a|b|c|d|");
	assert_split("a'b c'd", "ab cd|");
	assert_split("\"a \\\"b\\\" \\x\"", "a \"b\" \\x|");
	assert_split("'a\\' b", "a\\|b|");
	assert_split("a\\ b \\\\ \\'", "a b|\\|'|");
	assert_split("'' \"\"", "||");
	assert_split("$HOME `x` * #c", "$HOME|`x`|*|#c|");
	assert_split("''''a", "a|");
	assert_int_equal(options_split("a'", &words, &strings, &e), ERR_USAGE);
	assert_null(words);
	assert_null(strings);
	assert_int_equal(options_split("a\\", &words, &strings, &e), ERR_USAGE);
	assert_int_equal(options_split("\"a\\", &words, &strings, &e), ERR_USAGE);
}

static void test_suggestions(void **state)
{
	static const char *const names[] = { "attach", "check", "watch", "report", "run" };

	(void)state;
	assert_string_equal(options_suggest("atach", names, 5), "attach");
	assert_string_equal(options_suggest("chekc", names, 5), "check");
	assert_string_equal(options_suggest("wacth", names, 5), "watch");
	assert_string_equal(options_suggest("rep", names, 5), "report");
	assert_string_equal(options_suggest("rn", names, 5) ? "run" : "none", "none");
	assert_null(options_suggest("frobnicate", names, 5));
	assert_null(options_suggest("", names, 5));
	assert_null(options_suggest("a-word-far-too-long-to-be-a-slip-of-the-pen", names, 5));
}

static void test_help_stops_reading(void **state)
{
	(void)state;
	assert_int_equal(read_all(NULL, ARGS{ "--help", "--nonsense", NULL }), 0);
	assert_true(o.help);
	assert_int_equal(read_all(NULL, ARGS{ "1", "--version", NULL }), 0);
	assert_true(o.version);
}

static void test_help_lists_the_options_of_the_command(void **state)
{
	char *help = options_help(COMMAND_ATTACH), *line, *save;

	(void)state;
	assert_non_null(strstr(help, "      --format=NAME[:FILE]"));
	assert_non_null(strstr(help, "  -o, --output=FILE"));
	assert_null(strstr(help, "--timeout"));
	for (line = strtok_r(help, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		assert_in_range(strlen(line), 8, 100);
	free(help);
	help = options_help(COMMAND_CHECK);
	assert_non_null(strstr(help, "--timeout=SEC"));
	free(help);
}

static void test_commands(void **state)
{
	(void)state;
	assert_int_equal(command_find("attach"), COMMAND_ATTACH);
	assert_int_equal(command_find("att"), COMMAND_COUNT);
	assert_string_equal(command_name(COMMAND_SELFTEST), "selftest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_way_to_give_a_value),
		cmocka_unit_test(test_defaults_of_run_and_check),
		cmocka_unit_test(test_options_of_run_and_check),
		cmocka_unit_test(test_words_of_a_program),
		cmocka_unit_test(test_formats_and_their_files),
		cmocka_unit_test(test_wrong_options),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_fail_on),
		cmocka_unit_test(test_the_environment),
		cmocka_unit_test(test_a_wrong_environment),
		cmocka_unit_test(test_split_as_a_shell_would),
		cmocka_unit_test(test_suggestions),
		cmocka_unit_test(test_help_stops_reading),
		cmocka_unit_test(test_help_lists_the_options_of_the_command),
		cmocka_unit_test(test_commands),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
