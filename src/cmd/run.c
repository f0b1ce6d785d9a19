/* SPDX-License-Identifier: MIT
 *
 * strand run PROGRAM and strand check PROGRAM: the program under the supervisor, the reports at its
 * end, and its status. What the program writes and how it ends stays as it is; the reports come
 * when it is over (or when it hangs for good and is left to).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cmd/cmd.h"
#include "supervise/supervise.h"

/* A report that was written while the program went on need not be repeated. */
struct run {
	const struct options *o;
	enum command command;
	char *told; /* what was in it; NULL: none was written */
};

/* Who has which findings: two reports with the same say the same. malloc'd. */
static char *run_describe(const struct model *m)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	for (; f && m; m = m->next)
		for (size_t i = 0; i < m->finding_count; i++)
			fprintf(f, "%d %s %zu\n", (int)m->pid, m->findings[i]->id,
				m->findings[i]->count);
	if (f && fclose(f) != 0) {
		free(text);
		text = NULL;
	}
	return text;
}

static void run_report_now(const struct supervise_result *r, void *context)
{
	struct run *run = context;
	struct err e;

	if (cmd_write_reports(run->o, r->models, false, &e) < 0)
		cmd_fail(&e); /* and again at the end, which is where it counts */
	free(run->told);
	run->told = run_describe(r->models);
}

static int run_report_at_end(const struct run *run, const struct supervise_result *r, struct err *e)
{
	char *now = run->told ? run_describe(r->models) : NULL;
	bool told = now && strcmp(now, run->told) == 0;

	free(now);
	signal(SIGPIPE, SIG_IGN);
	if (r->blind)
		fprintf(stderr, "strand: could not look at the end of '%s': %s\n", run->o->words[0],
			r->blind);
	if (!cmd_write_reports(run->o, r->models, told, e) || e->sys_errno == EPIPE)
		return 0;
	return e->code;
}

/* The program's own status, as a shell gives it. */
static int run_program_status(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return STATUS_SIGNAL + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}

static int run_status(const struct run *run, const struct supervise_result *r)
{
	bool check = run->command == COMMAND_CHECK;
	bool fails = check && cmd_look_fails(run->o, r->models);
	int status = run_program_status(r->wait_status);

	if (r->end != SUPERVISE_ENDED)
		return fails ? run->o->exit_code : STATUS_TIMEOUT;
	if (status || !check)
		return status;
	if (fails)
		return run->o->exit_code;
	return r->blind && !run->o->blind_warns ? STATUS_TROUBLE : 0;
}

static int run_fail(const struct err *e)
{
	int status = cmd_fail(e);

	if (e->code == ERR_NOT_FOUND || e->code == ERR_NO_INTERPRETER)
		return STATUS_NOT_FOUND;
	return e->code == ERR_NOT_EXECUTABLE ? STATUS_CANNOT_RUN : status;
}

static int run_program(struct run *run)
{
	const struct options *o = run->o;
	struct supervise_options so = {
		.argv = (char *const *)o->words,
		.timeout_ns = o->timeout_ns,
		.grace_ns = o->grace_ns,
		.max_pause_ns = o->max_pause_ns,
		.stop_on_deadlock = run->command == COMMAND_CHECK && !o->no_stop_on_deadlock,
		.children = !o->no_children,
		.files = &cmd_inherited()->files,
		.child_signal_ignored = cmd_inherited()->child_signal_ignored,
		.report = run_report_now,
		.context = run,
	};
	struct supervise_result r;
	struct err e = { 0 };
	int status;

	if (cmd_check_outputs(o, &e) < 0)
		return cmd_fail(&e);
	if (supervise_run(&so, &r, &e) < 0)
		return run_fail(&e);
	status = run_status(run, &r);
	if (run_report_at_end(run, &r, &e) < 0) {
		cmd_fail(&e);
		status = status ? status : STATUS_TROUBLE;
	}
	supervise_free(&r);
	free(run->told);
	return status;
}

static int run_command(char **args, enum command c)
{
	struct options o;
	struct run run = { .o = &o, .command = c };
	struct err e = { 0 };
	int status, err;

	err = options_read(&o, c, getenv("STRAND_OPTIONS"), (const char *const *)args, &e);
	if (!err && !o.help && !o.version && !o.word_count)
		err = err_set(&e, ERR_USAGE, "%s: no program given (strand %s -- PROGRAM)",
			      command_name(c), command_name(c));
	if (err < 0)
		status = cmd_fail(&e);
	else if (o.help)
		status = cmd_help(c);
	else if (o.version)
		status = cmd_version();
	else
		status = run_program(&run);
	options_free(&o);
	return status;
}

int cmd_run(char **args)
{
	return run_command(args, COMMAND_RUN);
}

int cmd_check(char **args)
{
	return run_command(args, COMMAND_CHECK);
}
