/* SPDX-License-Identifier: MIT */
/*
 * Options of the command line and of STRAND_OPTIONS: one table (options.def), one parser for
 * every command, values checked as they are read.
 *
 * The command line wins over STRAND_OPTIONS, and a repeatable option given there replaces the
 * other's. In STRAND_OPTIONS an option that the command at hand does not have is ignored, one
 * that does not exist is an error.
 */
#ifndef STRAND_CMD_OPTIONS_H
#define STRAND_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "report/report.h"

enum command {
#define COMMAND(constant, name, arguments, what, function) COMMAND_##constant,
#include "cmd/commands.def"
#undef COMMAND
	COMMAND_COUNT
};

enum option {
#define OPTION(constant, name, letter, argument, commands, help) OPTION_##constant,
#include "cmd/options.def"
#undef OPTION
	OPTION_COUNT
};

const char *command_name(enum command c);
const char *command_arguments(enum command c);

/* The command of that name, COMMAND_COUNT if there is none. */
enum command command_find(const char *name);

#define OUTPUTS_MAX 16

/* One report to write. */
struct output {
	const struct report_writer *writer;
	const char *file; /* as given, %p not yet replaced; NULL: a standard stream */
	bool error;	  /* … standard error, not output */
};

/* What --fail-on may name. */
#define FAILURE_LIST(X) \
	X(STUCK, "stuck") X(ALIVE, "alive") X(UNJOINED, "unjoined") X(GROWING, "growing")

enum failure {
#define FAILURE(constant, name) FAILURE_##constant,
	FAILURE_LIST(FAILURE)
#undef FAILURE
		FAILURE_COUNT
};

struct options {
	struct output outputs[OUTPUTS_MAX];
	size_t output_count;	   /* at least 1 after options_read() */
	const char *output;	   /* --output, NULL if not given */
	bool fails[FAILURE_COUNT]; /* --fail-on */
	size_t allowed[FAILURE_COUNT];
	int exit_code;
	int64_t timeout_ns; /* 0: none */
	int64_t grace_ns;
	int64_t max_pause_ns;
	const char *exe, *sysroot; /* NULL if not given */
	size_t max_tasks;
	const char *why; /* the id of a task; NULL: not asked */
	bool all;	 /* list every task */
	bool no_stop_on_deadlock;
	bool no_children;
	bool blind_warns; /* --if-blind=warn */
	bool help, version;

	const char **words; /* what is no option, in order; NULL-terminated. Where a command takes
			     * a program, all from its name on */
	size_t word_count;

	char *strings; /* the words of STRAND_OPTIONS, which values point into */
};

/* Read `environment` (the value of STRAND_OPTIONS or NULL), then the NULL-terminated `args`
 * (without the names of program and command). Values point into both. options_free() in any
 * case. */
int options_read(struct options *o, enum command c, const char *environment,
		 const char *const *args, struct err *e);
void options_free(struct options *o);

/* The option lines of a command's help: at most 100 columns, malloc'd, the caller's; NULL if out
 * of memory. */
char *options_help(enum command c);

/* Of names[0 .. n-1] the one that `word` may be a slip of the pen for, NULL if none is near. */
const char *options_suggest(const char *word, const char *const *names, size_t n);

/* Split a line into words as a shell would (quotes, backslashes; nothing is expanded). *words is
 * NULL-terminated, *strings holds them; both malloc'd, the caller's to free. */
int options_split(const char *line, char ***words, char **strings, struct err *e);

#endif
