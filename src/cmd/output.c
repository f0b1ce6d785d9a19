/* SPDX-License-Identifier: MIT */
/*
 * Reports to where the options want them, and the gate. A report that did not arrive whole is
 * an error: a full disk must not look like a clean bill. A broken pipe at standard output ends
 * strand by SIGPIPE, as it does other tools, after all files are written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"

/* The file name with %p replaced; malloc'd. */
static char *output_file_name(const char *file, pid_t pid)
{
	char *name = NULL;
	size_t bytes;
	FILE *f = open_memstream(&name, &bytes);

	if (!f)
		return NULL;
	for (; *file; file++) {
		if (file[0] == '%' && file[1] == 'p') {
			fprintf(f, "%d", (int)pid);
			file++;
		} else {
			putc(*file, f);
		}
	}
	if (fclose(f) != 0) {
		free(name);
		return NULL;
	}
	return name;
}

static bool output_wants_colour(FILE *f)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(f)) && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
}

static int output_failed(struct err *e, const char *where, int sys_errno)
{
	return err_set_errno(e, sys_errno ? sys_errno : EIO, "cannot write the report to %.300s",
			     where);
}

static int output_write_stream(const struct options *o, const struct output *out,
			       const struct model *m, FILE *f, const char *where, struct err *e)
{
	struct report_options ro = { .all = o->all, .max_tasks = o->max_tasks, .why = o->why };
	int err;

	ro.colour = !out->file && output_wants_colour(f);
	errno = 0;
	err = out->writer->write(m, &ro, f, e);
	if (fflush(f) != 0 || ferror(f))
		return output_failed(e, where, errno);
	return err;
}

static int output_write_file(const struct options *o, const struct output *out,
			     const struct model *m, struct err *e)
{
	char *name = output_file_name(out->file, m->pid);
	int err;
	FILE *f;

	if (!name)
		return err_set(e, ERR_NOMEM, "the name of the report");
	f = fopen(name, "we");
	if (!f) {
		err = output_failed(e, name, errno);
		goto out;
	}
	err = output_write_stream(o, out, m, f, name, e);
	if (fclose(f) != 0 && !err)
		err = output_failed(e, name, errno);
out:
	free(name);
	return err;
}

static int output_write_standard(const struct options *o, const struct output *out,
				 const struct model *m, struct err *e)
{
	return out->error ? output_write_stream(o, out, m, stderr, "standard error", e)
			  : output_write_stream(o, out, m, stdout, "standard output", e);
}

int cmd_write_reports(const struct options *o, const struct model *m, bool files_only,
		      struct err *e)
{
	int first = 0, err;
	struct err later;
	size_t i;

	for (i = 0; i < o->output_count; i++) {
		if (!o->outputs[i].file)
			continue;
		err = output_write_file(o, &o->outputs[i], m, first ? &later : e);
		first = first ? first : err;
	}
	for (i = 0; i < o->output_count && !files_only; i++) {
		if (o->outputs[i].file)
			continue;
		err = output_write_standard(o, &o->outputs[i], m, first ? &later : e);
		first = first ? first : err;
	}
	return first;
}

/* 0, or why this file could not be written, as far as that can be told without opening it. */
static int output_check(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *directory;
	struct stat st;
	int failed;

	if (!stat(file, &st)) {
		if (S_ISDIR(st.st_mode))
			return EISDIR;
		return access(file, W_OK) ? errno : 0;
	}
	if (!slash)
		directory = strdup(".");
	else
		directory = strndup(file, slash == file ? 1 : (size_t)(slash - file));
	failed = !directory ? ENOMEM : access(directory, W_OK | X_OK) ? errno : 0;
	free(directory);
	return failed;
}

int cmd_check_outputs(const struct options *o, struct err *e)
{
	for (size_t i = 0; i < o->output_count; i++) {
		const char *file = o->outputs[i].file;
		int failed = file ? output_check(file) : 0;

		if (failed)
			return output_failed(e, file, failed);
	}
	return 0;
}

bool cmd_look_fails(const struct options *o, const struct model *m)
{
	static const enum verdict verdicts[] = {
		[FAILURE_STUCK] = VERDICT_STUCK,
		[FAILURE_ALIVE] = VERDICT_ALIVE,
		[FAILURE_UNJOINED] = VERDICT_UNJOINED,
	};
	size_t i, k;

	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		size_t tasks = 0;

		for (const struct model *each = m; each; each = each->next)
			for (k = 0; k < each->finding_count; k++)
				if (each->findings[k]->verdict == verdicts[i])
					tasks += each->findings[k]->count;
		if (o->fails[i] && tasks > o->allowed[i])
			return true;
	}
	return false; /* one look has no trends: nothing is growing */
}
