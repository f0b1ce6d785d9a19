/* SPDX-License-Identifier: MIT */
/*
 * The strand program: finds the subcommand named by the first argument and runs it.
 *
 * Whatever is strand's own trouble ends with status 125 and one line on standard error,
 * `strand: what failed: why (what to do)`.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "config.h"

struct command_row {
	const char *name;
	const char *arguments;
	const char *what;
	int (*run)(char **args);
};

static const struct command_row command_rows[COMMAND_COUNT] = {
#define COMMAND(constant, name, arguments, what, function) { #name, arguments, what, function },
#include "cmd/commands.def"
#undef COMMAND
};

int cmd_fail(const struct err *e)
{
	char line[1024];

	err_format(e, line, sizeof(line));
	fprintf(stderr, "strand: %s\n", line);
	return STATUS_TROUBLE;
}

/* What was printed must have arrived. */
static int main_finish_output(void)
{
	struct err e = { 0 };

	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	err_set(&e, ERR_WRITE, "standard output");
	return cmd_fail(&e);
}

int cmd_version(void)
{
	puts(PACKAGE_STRING);
	return main_finish_output();
}

static const char *main_explain_status(enum command c)
{
	switch (c) {
	case COMMAND_RUN:
		return "Status: the program's, 128+N if signal N ended\n"
		       "it, 124 after --timeout; 125 when something went wrong, 126 when the program "
		       "cannot\nbe executed, 127 when it is not found.";
	case COMMAND_CHECK:
		return "Status: the program's if that is not 0, 128+N\n"
		       "if signal N ended it; the one of --exit-code where --fail-on says so; 124 after "
		       "--timeout\nor a deadlock that --fail-on lets pass; 125 when something went "
		       "wrong, 126 when the program\ncannot be executed, 127 when it is not found.";
	case COMMAND_LIST:
		return "Status: 0, or 125 when something went wrong.";
	default:
		return "Status: 0 when it looked, the one of\n"
		       "--exit-code where --fail-on says so, 125 when something went wrong.";
	}
}

int cmd_help(enum command c)
{
	const struct command_row *row = &command_rows[c];
	char *options = options_help(c);
	struct err e = { 0 };

	if (!options) {
		err_set(&e, ERR_NOMEM, "strand %s --help", row->name);
		return cmd_fail(&e);
	}
	printf("usage: strand %s [options] %s\n\n%s.\n\n%s\n"
	       "Options may stand in STRAND_OPTIONS, too. %s\n",
	       row->name, row->arguments, row->what, options, main_explain_status(c));
	free(options);
	return main_finish_output();
}

static int main_help(void)
{
	size_t i;

	puts("strand finds the threads of a program that nobody will ever wake.\n\n"
	     "usage: strand COMMAND [options] ...\n");
	for (i = 0; i < COMMAND_COUNT; i++)
		if (command_rows[i].run)
			printf("  strand %s %-22s %s\n", command_rows[i].name,
			       command_rows[i].arguments, command_rows[i].what);
	puts("\n  strand COMMAND --help       the options of a command\n"
	     "  strand --version            the version of strand");
	return main_finish_output();
}

static void main_explain_unknown(const char *word, struct err *e)
{
	const char *names[COMMAND_COUNT], *near;
	size_t i;

	for (i = 0; i < COMMAND_COUNT; i++)
		names[i] = command_rows[i].name;
	near = options_suggest(word, names, COMMAND_COUNT);
	if (near)
		err_set(e, ERR_USAGE, "there is no command '%.60s' (did you mean %s?)", word, near);
	else if (word[0] && strspn(word, "0123456789") == strlen(word))
		err_set(e, ERR_USAGE,
			"there is no command '%.60s' (did you mean strand attach %.60s?)", word,
			word);
	else
		err_set(e, ERR_USAGE, "there is no command '%.60s' (strand --help lists them)",
			word);
}

/* A closed standard stream's number would go to the next file opened, and the report, or a
 * message, into that file. Opened the wrong way round, writing fails as it should. */
static void main_keep_streams(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_CLOEXEC) != fd)
			_exit(STATUS_TROUBLE);
}

static struct cmd_inherited main_inherited;

const struct cmd_inherited *cmd_inherited(void)
{
	return &main_inherited;
}

/* A look keeps one file open for each library of the process, and there are some with thousands;
 * the usual soft limit is for programs that use select(2). */
static void main_allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		main_inherited.files = limit;
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	enum command c = command_find(word);
	struct err e = { 0 };

	main_keep_streams();
	main_allow_files();
	/* looking waits for children: it must not be ignored */
	main_inherited.child_signal_ignored = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
	if (argc < 2)
		err_set(&e, ERR_USAGE,
			"no command (strand check -- PROGRAM, strand attach PID; strand --help lists more)");
	else if (c < COMMAND_COUNT && command_rows[c].run)
		return command_rows[c].run(argv + 2);
	else if (strcmp(word, "exit-analysis") == 0)
		return cmd_exit_analysis(argv + 2);
	else if (strcmp(word, "--help") == 0 || strcmp(word, "help") == 0)
		return main_help();
	else if (strcmp(word, "--version") == 0)
		return cmd_version();
	else if (c < COMMAND_COUNT)
		err_set(&e, ERR_USAGE,
			"%s: not available in this version (run, check, attach and list are)",
			word);
	else
		main_explain_unknown(word, &e);
	return cmd_fail(&e);
}
