/* SPDX-License-Identifier: MIT */
/*
 * strand attach PID|CORE: one look at a running process or a core file, all tasks listed.
 *
 * The report is written when the process runs again: however long that takes, or if it ends
 * strand (a closed pipe), the process does not notice.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/values.h"
#include "look.h"
#include "target/tables.h"
#include "target/target.h"

#define PID_MAX 4194304 /* the kernel's own limit on 64-bit machines */

/* What is no number but names a file is a core; *pid is 0 then. */
static int attach_read_word(const struct options *o, pid_t *pid, struct err *e)
{
	const char *word = o->words[0];
	size_t n;

	if (!word)
		return err_set(e, ERR_USAGE,
			       "attach: no PID and no core given (strand attach PID, strand attach "
			       "CORE)");
	if (o->word_count > 1)
		return err_set(e, ERR_USAGE, "attach: one PID or core at a time (what is '%.60s'?)",
			       o->words[1]);
	*pid = 0;
	if (value_read_number(word, 1, PID_MAX, &n) == 0) {
		*pid = (pid_t)n;
		if (o->exe || o->sysroot)
			return err_set(e, ERR_USAGE,
				       "attach: --%s is for a core file, not for a PID",
				       o->exe ? "exe" : "sysroot");
		return 0;
	}
	if (strchr(word, '/') || access(word, F_OK) == 0)
		return 0;
	if (word[0] && strspn(word, "0123456789") == strlen(word))
		return err_set(e, ERR_USAGE, "attach: '%.60s' is not a PID (1 to %d)", word,
			       PID_MAX);
	return err_set(e, ERR_USAGE,
		       "attach: '%.60s' is neither a PID (pidof or pgrep find it) nor a core file",
		       word);
}

/* The table of a process that runs with the shim; NULL if it has none, or none of use: then the
 * look tells less. */
static struct table *attach_find_table(pid_t pid)
{
	struct target_thread main_thread;
	struct table *table = NULL;
	char path[PATH_MAX];

	if (!tables_directory(path, sizeof(path), NULL))
		tables_remove_stale(path);
	if (!target_read_thread(pid, pid, &main_thread) &&
	    !tables_find(pid, main_thread.start_ticks, path, sizeof(path), NULL) && *path)
		table_open(path, false, &table, NULL);
	return table;
}

static int attach_look_at_process(const struct options *o, pid_t pid, struct model **m,
				  struct err *e)
{
	struct look_options look = { .max_pause_ns = o->max_pause_ns,
				     .moment = MOMENT_ATTACH,
				     .table = attach_find_table(pid) };
	int err = look_at_process(pid, &look, m, e);

	if (look.table)
		table_close(look.table);
	return err;
}

static int attach_look(const struct options *o, pid_t pid, bool *fails, struct err *e)
{
	struct model *m = NULL;
	int err = pid ? attach_look_at_process(o, pid, &m, e)
		      : look_at_core(o->words[0], o->exe, o->sysroot, &m, e);

	if (err < 0)
		return err;
	err = cmd_write_reports(o, m, false, e);
	*fails = cmd_look_fails(o, m);
	model_free(m);
	return err;
}

int cmd_attach(char **args)
{
	struct err e = { 0 };
	struct options o;
	bool fails = false;
	pid_t pid = 0;
	int status, err;

	err = options_read(&o, COMMAND_ATTACH, getenv("STRAND_OPTIONS"), (const char *const *)args,
			   &e);
	if (!err && o.help) {
		status = cmd_help(COMMAND_ATTACH);
		goto out;
	}
	if (!err && o.version) {
		status = cmd_version();
		goto out;
	}
	if (!err)
		err = attach_read_word(&o, &pid, &e);
	if (!err)
		err = attach_look(&o, pid, &fails, &e);
	status = err < 0 ? cmd_fail(&e) : fails ? o.exit_code : 0;
out:
	options_free(&o);
	return status;
}
