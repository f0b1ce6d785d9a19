/* SPDX-License-Identifier: MIT */
/*
 * What the subcommands share. Commands print, and return the exit status of the program; they
 * do not exit by themselves. Everything here runs when the process that was looked at runs again,
 * or before it was stopped: never in between.
 */
#ifndef STRAND_CMD_CMD_H
#define STRAND_CMD_CMD_H

#include <sys/types.h>

#include "cmd/options.h"
#include "err.h"
#include "model/model.h"

#define STATUS_TROUBLE 125 /* strand's own: usage, could not look, could not write */

/* `args` are the NULL-terminated words behind the command's name. */
int cmd_attach(char **args);

/* "strand: what failed: why (what to do)" on standard error; returns STATUS_TROUBLE. */
int cmd_fail(const struct err *e);

/* Print the help of a command or the version; returns the exit status. */
int cmd_help(enum command c);
int cmd_version(void);

/* Write all reports that were asked for, those into files first: a closed pipe at standard
 * output costs none of them. The first failure is returned after all were tried. */
int cmd_write_reports(const struct options *o, const struct model *m, struct err *e);

/* Does the look fail by --fail-on? */
bool cmd_look_fails(const struct options *o, const struct model *m);

#endif
