/* SPDX-License-Identifier: MIT
 *
 * strand list: the processes that have a table, one line each, newest image only. Reads headers,
 * stops nobody.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/cmd.h"
#include "prove/chain.h"
#include "readers/table.h"
#include "report/utf8.h"
#include "target/tables.h"

static int64_t list_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void list_put(const volatile struct wire_table *h, bool *begun)
{
	char exe[WIRE_EXE_BYTES + 1], age[40] = "-", *clean;
	int64_t since = list_now_ns() - (int64_t)h->birth_ns;

	for (size_t i = 0; i < WIRE_EXE_BYTES; i++)
		exe[i] = h->exe[i];
	exe[WIRE_EXE_BYTES] = '\0';
	clean = utf8_printable(exe[0] ? exe : "?");
	if (since > 0 && h->birth_ns)
		chain_format_duration(since, age, sizeof(age));
	if (!*begun)
		puts("    PID   TASKS         AGE  PROGRAM");
	*begun = true;
	printf("%7d %7u %11s  %s\n", (int)h->pid, (unsigned)h->tasks_running, age,
	       clean ? clean : "?");
	free(clean);
}

/* Of a process's images the last is the one that runs. */
static bool list_is_newest(const struct tables_entry *v, size_t n, size_t i)
{
	return i + 1 == n || v[i + 1].control || v[i + 1].pid != v[i].pid ||
	       v[i + 1].start_ticks != v[i].start_ticks;
}

static int list_all(struct err *e)
{
	char directory[PATH_MAX], path[PATH_MAX + 100];
	struct tables_entry *v;
	bool begun = false;
	size_t n;
	int rc = tables_directory(directory, sizeof(directory), e);

	if (rc)
		return rc;
	tables_remove_stale(directory);
	rc = tables_list(directory, &v, &n, e);
	for (size_t i = 0; i < n && !rc; i++) {
		struct table *t;

		snprintf(path, sizeof(path), "%s/%s", directory, v[i].name);
		if (v[i].control || !list_is_newest(v, n, i) || table_open(path, false, &t, NULL))
			continue;
		list_put(table_header(t), &begun);
		table_close(t);
	}
	free(v);
	if (!rc && (fflush(stdout) != 0 || ferror(stdout)))
		rc = err_set(e, ERR_WRITE, "standard output");
	return rc;
}

int cmd_list(char **args)
{
	struct err e = { 0 };
	struct options o;
	int status = 0;
	int err = options_read(&o, COMMAND_LIST, getenv("STRAND_OPTIONS"),
			       (const char *const *)args, &e);

	if (!err && !o.help && !o.version && o.word_count)
		err = err_set(&e, ERR_USAGE, "list: it takes no argument (what is '%.60s'?)",
			      o.words[0]);
	if (!err && o.help)
		status = cmd_help(COMMAND_LIST);
	else if (!err && o.version)
		status = cmd_version();
	else if (!err)
		err = list_all(&e);
	if (err < 0)
		status = cmd_fail(&e);
	options_free(&o);
	return status;
}
