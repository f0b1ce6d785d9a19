/* SPDX-License-Identifier: MIT */
/*
 * What the subcommands share. Commands print, and return the exit status of the program; they
 * do not exit by themselves. Everything here runs when the process that was looked at runs again,
 * or before it was stopped: never in between.
 */
#ifndef STRAND_CMD_CMD_H
#define STRAND_CMD_CMD_H

#include <sys/resource.h>
#include <sys/types.h>

#include "cmd/options.h"
#include "err.h"
#include "model/model.h"

#define STATUS_TROUBLE 125 /* strand's own: usage, could not look, could not write */

#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND  127
#define STATUS_TIMEOUT	  124
#define STATUS_SIGNAL	  128 /* and its number */

/* `args` are the NULL-terminated words behind the command's name. */
int cmd_run(char **args);
int cmd_check(char **args);
int cmd_attach(char **args);
int cmd_list(char **args);

/* What the shim starts when nobody supervises: not for people, not in the help. */
int cmd_exit_analysis(char **args);

/* What main() changed for strand, as it was: for programs that strand starts. */
struct cmd_inherited {
	struct rlimit files;
	bool child_signal_ignored;
};
const struct cmd_inherited *cmd_inherited(void);

/* "strand: what failed: why (what to do)" on standard error; returns STATUS_TROUBLE. */
int cmd_fail(const struct err *e);

/* Print the help of a command or the version; returns the exit status. */
int cmd_help(enum command c);
int cmd_version(void);

/* Write all reports that were asked for, those into files first: a closed pipe at standard
 * output costs none of them; with `files_only` these alone. The first failure is returned after
 * all were tried. */
int cmd_write_reports(const struct options *o, const struct model *m, bool files_only,
		      struct err *e);

/* Could they be written? Asked before a program is started that may run for hours. */
int cmd_check_outputs(const struct options *o, struct err *e);

/* Do the looks, `m` and what follows it, fail by --fail-on? */
bool cmd_look_fails(const struct options *o, const struct model *m);

#endif
