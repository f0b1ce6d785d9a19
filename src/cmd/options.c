/* SPDX-License-Identifier: MIT */
/*
 * The parser of options. It is strand's own rather than getopt's because its complaints are: every
 * one names the command or STRAND_OPTIONS, says what is wrong, and suggests what was meant.
 * Options and other words may be mixed; `--` ends the options.
 */
#include "cmd/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/values.h"

#define NS_PER_MS	   INT64_C(1000000)
#define GRACE_DEFAULT	   (100 * NS_PER_MS)
#define TIME_MAX	   (INT64_C(1000) * 3600000 * NS_PER_MS)
#define MAX_PAUSE_DEFAULT  (2000 * NS_PER_MS)
#define MAX_TASKS_DEFAULT  10000
#define EXIT_CODE_DEFAULT  66
#define HELP_COLUMN	   28
#define SUGGEST_LENGTH_MAX 31

#define IN(command) (1u << COMMAND_##command)
#define IN_RUN	    IN(RUN)
#define IN_CHECK    IN(CHECK)
#define IN_WATCH    IN(WATCH)
#define IN_REPORT   IN(REPORT)
#define IN_LOOKING  (IN_RUN | IN_CHECK | IN_WATCH | IN(ATTACH))
#define IN_ALL	    ((1u << COMMAND_COUNT) - 1)

struct option_row {
	const char *name;
	char letter;
	const char *argument;
	unsigned commands;
	const char *help;
};

static const struct option_row option_rows[OPTION_COUNT] = {
#define OPTION(constant, name, letter, argument, commands, help) \
	[OPTION_##constant] = { name, letter, argument, commands, help },
#include "cmd/options.def"
#undef OPTION
};

static const char *const command_names[COMMAND_COUNT] = {
#define COMMAND(constant, name, arguments, what, function) #name,
#include "cmd/commands.def"
#undef COMMAND
};

const char *command_name(enum command c)
{
	return command_names[c];
}

enum command command_find(const char *name)
{
	unsigned c;

	for (c = 0; c < COMMAND_COUNT; c++)
		if (strcmp(command_names[c], name) == 0)
			break;
	return c;
}

/* Letters added, removed, changed or swapped with their neighbour between two words. */
static unsigned suggest_distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned char d[SUGGEST_LENGTH_MAX + 1][SUGGEST_LENGTH_MAX + 1];
	size_t i, j;

	for (i = 0; i <= na; i++) {
		for (j = 0; j <= nb; j++) {
			unsigned best = (unsigned)(i ? j ? ~0u : i : j);

			if (i && j) {
				best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				if (d[i - 1][j] + 1u < best)
					best = d[i - 1][j] + 1u;
				if (d[i][j - 1] + 1u < best)
					best = d[i][j - 1] + 1u;
			}
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1u < best)
				best = d[i - 2][j - 2] + 1u;
			d[i][j] = (unsigned char)best;
		}
	}
	return d[na][nb];
}

const char *options_suggest(const char *word, const char *const *names, size_t n)
{
	size_t length = strlen(word), i;
	unsigned best = length / 3 + 1, distance;
	const char *found = NULL;

	if (length < 2 || length > SUGGEST_LENGTH_MAX)
		return NULL;
	for (i = 0; i < n; i++)
		if (length >= 3 && strncmp(names[i], word, length) == 0)
			return names[i];
	for (i = 0; i < n; i++) {
		size_t other = strlen(names[i]);

		if (other > SUGGEST_LENGTH_MAX)
			continue;
		distance = suggest_distance(word, length, names[i], other);
		if (distance < best) {
			best = distance;
			found = names[i];
		}
	}
	return found;
}

/* One line of arguments being read. */
struct reading {
	struct options *o;
	enum command command;
	const char *where; /* the command's name, or STRAND_OPTIONS */
	bool environment;
	bool format_seen; /* the first --format of a line replaces those of the line before */
	const char *const *args;
	struct err *e;
};

static int reading_unknown(const struct reading *r, const char *name, int length)
{
	const char *names[OPTION_COUNT], *near;
	char word[SUGGEST_LENGTH_MAX + 2];
	size_t i, n = 0;

	for (i = 0; i < OPTION_COUNT; i++)
		if (r->environment || (option_rows[i].commands & 1u << r->command))
			names[n++] = option_rows[i].name;
	snprintf(word, sizeof(word), "%.*s", length, name);
	near = options_suggest(word, names, n);
	if (near)
		return err_set(r->e, ERR_USAGE,
			       "%s: there is no option --%.*s (did you mean --%s?)", r->where,
			       length, name, near);
	return err_set(r->e, ERR_USAGE,
		       "%s: there is no option --%.*s (strand %s --help lists them)", r->where,
		       length, name, command_name(r->command));
}

static int reading_not_here(const struct reading *r, const struct option_row *row)
{
	char list[128] = "";
	size_t used = 0;
	unsigned c;

	for (c = 0; c < COMMAND_COUNT; c++)
		if (row->commands & 1u << c)
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 used ? ", " : "", command_names[c]);
	return err_set(r->e, ERR_USAGE, "%s: --%s is not an option of this command (only of %s)",
		       r->where, row->name, list);
}

static int reading_add_format(struct reading *r, const char *value, const char **why)
{
	struct options *o = r->o;

	if (!r->format_seen)
		o->output_count = 0;
	r->format_seen = true;
	if (o->output_count == OUTPUTS_MAX) {
		*why = "too many formats";
		return ERR_USAGE;
	}
	return value_read_output(value, &o->outputs[o->output_count++], why);
}

/* Take the value of an option; *why says what is wrong with it. */
static int reading_take(struct reading *r, enum option option, const char *value, const char **why)
{
	struct options *o = r->o;
	size_t n = 0;
	int err;

	switch (option) {
	case OPTION_FORMAT:
		return reading_add_format(r, value, why);
	case OPTION_OUTPUT:
		o->output = value;
		*why = "a file name is needed";
		return *value ? 0 : ERR_USAGE;
	case OPTION_FAIL_ON:
		return value_read_fail_on(value, o->fails, o->allowed, why);
	case OPTION_EXIT_CODE:
		*why = "not a status from 1 to 255";
		err = value_read_number(value, 1, 255, &n);
		o->exit_code = (int)n;
		return err;
	case OPTION_TIMEOUT:
		*why = "not a time from 1ms to 60000m (30, 1.5s, 500ms, 10m)";
		return value_read_duration(value, 1000 * NS_PER_MS, NS_PER_MS, TIME_MAX,
					   &o->timeout_ns);
	case OPTION_GRACE:
		*why = "not a time from 0 to 60m (500, 500ms, 2s, 1m)";
		return value_read_duration(value, NS_PER_MS, 0, 3600000 * NS_PER_MS, &o->grace_ns);
	case OPTION_IF_BLIND:
		*why = "fail or warn";
		o->blind_warns = !strcmp(value, "warn");
		return o->blind_warns || !strcmp(value, "fail") ? 0 : ERR_USAGE;
	case OPTION_MAX_PAUSE:
		*why = "not a time from 1ms to 60m (500, 500ms, 2s, 1m)";
		return value_read_duration(value, NS_PER_MS, NS_PER_MS, 3600000 * NS_PER_MS,
					   &o->max_pause_ns);
	case OPTION_EXE:
		o->exe = value;
		*why = "a file name is needed";
		return *value ? 0 : ERR_USAGE;
	case OPTION_SYSROOT:
		o->sysroot = value;
		*why = "the name of a folder is needed";
		return *value ? 0 : ERR_USAGE;
	case OPTION_MAX_TASKS:
		*why = "not a number of at least 1";
		return value_read_number(value, 1, SIZE_MAX / 2, &o->max_tasks);
	case OPTION_WHY:
		*why = "not the id of a task (T7)";
		if (value[0] != 'T' || !value[1] ||
		    strspn(value + 1, "0123456789") != strlen(value + 1))
			return ERR_USAGE;
		o->why = value;
		return 0;
	case OPTION_ALL:
		o->all = true;
		return 0;
	case OPTION_NO_STOP_ON_DEADLOCK:
		o->no_stop_on_deadlock = true;
		return 0;
	case OPTION_NO_CHILDREN:
		o->no_children = true;
		return 0;
	case OPTION_HELP:
		o->help = true;
		return 0;
	case OPTION_VERSION:
		o->version = true;
		return 0;
	default:
		return 0;
	}
}

/* `value` is what stands behind `=` or the letter, NULL if nothing does. */
static int reading_option(struct reading *r, enum option option, const char *value)
{
	const struct option_row *row = &option_rows[option];
	bool here = row->commands & 1u << r->command;
	const char *why = "";

	if (!here && !r->environment)
		return reading_not_here(r, row);
	if (value && !row->argument)
		return err_set(r->e, ERR_USAGE, "%s: --%s takes no value", r->where, row->name);
	if (row->argument && !value) {
		value = *r->args ? *r->args++ : NULL;
		if (!value)
			return err_set(r->e, ERR_USAGE, "%s: --%s needs a value (--%s=%s)",
				       r->where, row->name, row->name, row->argument);
	}
	if (here && reading_take(r, option, value, &why) < 0)
		return err_set(r->e, ERR_USAGE, "%s: --%s=%s: %s", r->where, row->name, value, why);
	return 0;
}

static int reading_long(struct reading *r, const char *word)
{
	size_t length = strcspn(word, "=");
	unsigned i;

	for (i = 0; i < OPTION_COUNT; i++)
		if (strlen(option_rows[i].name) == length &&
		    strncmp(option_rows[i].name, word, length) == 0)
			return reading_option(r, i, word[length] ? word + length + 1 : NULL);
	return reading_unknown(r, word, length < 60 ? (int)length : 60);
}

static int reading_short(struct reading *r, const char *word)
{
	unsigned i;

	for (i = 0; i < OPTION_COUNT; i++)
		if (option_rows[i].letter && option_rows[i].letter == word[0])
			return reading_option(r, i, word[1] ? word + 1 : NULL);
	return err_set(r->e, ERR_USAGE,
		       "%s: there is no option -%.20s (strand %s --help lists them)", r->where,
		       word, command_name(r->command));
}

static int reading_word(struct reading *r, const char *word)
{
	if (r->environment)
		return err_set(r->e, ERR_USAGE, "%s: '%.60s' is not an option", r->where, word);
	r->o->words[r->o->word_count++] = word;
	return 0;
}

/* What stands behind the program's name is the program's. */
static bool reading_takes_program(const struct reading *r)
{
	return r->command == COMMAND_RUN || r->command == COMMAND_CHECK;
}

static int reading_all(struct reading *r)
{
	bool only_words = false;
	int err = 0;

	while (!err && *r->args && !r->o->help && !r->o->version) {
		const char *word = *r->args++;

		if (only_words || word[0] != '-' || !word[1]) {
			err = reading_word(r, word);
			only_words = only_words || reading_takes_program(r);
		} else if (strcmp(word, "--") == 0) {
			only_words = true;
		} else if (word[1] == '-') {
			err = reading_long(r, word + 2);
		} else {
			err = reading_short(r, word + 1);
		}
	}
	return err;
}

/* "-" is standard output. Without a file, run and check leave that to the program. */
static void output_normalize(struct output *out, enum command c)
{
	out->error = !out->file && (c == COMMAND_RUN || c == COMMAND_CHECK);
	if (out->file && strcmp(out->file, "-") == 0)
		out->file = NULL;
}

static int options_check_outputs(const struct options *o, const char *where, struct err *e)
{
	size_t i, j;

	for (i = 0; i < o->output_count; i++) {
		for (j = 0; j < i; j++) {
			const char *a = o->outputs[i].file, *b = o->outputs[j].file;

			if (!a && !b && o->outputs[i].error == o->outputs[j].error)
				return err_set(e, ERR_USAGE,
					       "%s: --format: only one report can go to standard "
					       "%s (give the others a file: --format=%s:FILE)",
					       where, o->outputs[i].error ? "error" : "output",
					       o->outputs[i].writer->name);
			if (a && b && strcmp(a, b) == 0)
				return err_set(e, ERR_USAGE,
					       "%s: --format: two reports would go to '%.200s'",
					       where, a);
		}
	}
	return 0;
}

static int options_place_outputs(struct options *o, enum command c, struct err *e)
{
	const char *where = command_name(c);
	size_t i;

	if (!o->output_count)
		o->outputs[o->output_count++].writer = report_find("text");
	if (o->output) {
		if (o->output_count != 1)
			return err_set(e, ERR_USAGE,
				       "%s: --output works with exactly one format (give each a "
				       "file: --format=NAME:FILE)",
				       where);
		if (o->outputs[0].file)
			return err_set(
				e, ERR_USAGE,
				"%s: --output and --format=%s:FILE both say where the report "
				"goes (give one of them)",
				where, o->outputs[0].writer->name);
		o->outputs[0].file = o->output;
	}
	for (i = 0; i < o->output_count; i++)
		output_normalize(&o->outputs[i], c);
	return options_check_outputs(o, where, e);
}

static int options_read_environment(struct options *o, enum command c, const char *line,
				    struct err *e)
{
	struct reading r = {
		.o = o, .command = c, .where = "STRAND_OPTIONS", .environment = true, .e = e
	};
	char **words;
	int err = options_split(line, &words, &o->strings, e);

	if (err < 0)
		return err;
	r.args = (const char *const *)words;
	err = reading_all(&r);
	free(words);
	return err;
}

int options_read(struct options *o, enum command c, const char *environment,
		 const char *const *args, struct err *e)
{
	struct reading r = { .o = o, .command = c, .where = command_name(c), .args = args, .e = e };
	size_t n = 0;
	int err = 0;

	*o = (struct options){ .exit_code = EXIT_CODE_DEFAULT,
			       .grace_ns = GRACE_DEFAULT,
			       .max_pause_ns = MAX_PAUSE_DEFAULT,
			       .max_tasks = MAX_TASKS_DEFAULT,
			       .all = c == COMMAND_ATTACH,
			       .fails = { [FAILURE_STUCK] = c == COMMAND_CHECK } };
	while (args[n])
		n++;
	o->words = calloc(n + 1, sizeof(*o->words));
	if (!o->words)
		return err_set(e, ERR_NOMEM, "%s", command_name(c));
	if (environment)
		err = options_read_environment(o, c, environment, e);
	if (!err)
		err = reading_all(&r);
	if (!err && !o->help && !o->version)
		err = options_place_outputs(o, c, e);
	return err;
}

void options_free(struct options *o)
{
	free(o->words);
	free(o->strings);
	o->words = NULL;
	o->strings = NULL;
}

static void options_help_row(FILE *f, const struct option_row *row)
{
	const char *line = row->help, *end;
	int used = row->letter ? fprintf(f, "  -%c, --%s", row->letter, row->name)
			       : fprintf(f, "      --%s", row->name);

	if (row->argument)
		used += fprintf(f, "=%s", row->argument);
	fprintf(f, "%*s", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "");
	for (; (end = strchr(line, '\n')); line = end + 1)
		fprintf(f, "%.*s\n%*s", (int)(end - line), line, HELP_COLUMN, "");
	fprintf(f, "%s\n", line);
}

char *options_help(enum command c)
{
	char *text = NULL;
	size_t bytes, i;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	for (i = 0; i < OPTION_COUNT; i++)
		if (option_rows[i].commands & 1u << c)
			options_help_row(f, &option_rows[i]);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
