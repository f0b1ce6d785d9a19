/* SPDX-License-Identifier: MIT
 *
 * strand exit-analysis PID TABLE: what the shim starts at the exit of a process that nobody
 * supervises. It is somebody else's program that this runs beside: nothing is said unless there is
 * something to say, and no complaint is made.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/values.h"
#include "supervise/supervise.h"

static bool analysis_has_findings(const struct model *m)
{
	for (; m; m = m->next)
		if (m->finding_count)
			return true;
	return false;
}

static void analysis_read_options(struct options *o)
{
	static const char *const none[] = { NULL };
	const char *environment = getenv("STRAND_OPTIONS");

	if (!options_read(o, COMMAND_RUN, environment, none, NULL))
		return;
	options_free(o); /* what is wrong with it is said by commands */
	options_read(o, COMMAND_RUN, NULL, none, NULL);
}

int cmd_exit_analysis(char **args)
{
	struct supervise_result r;
	struct options o;
	size_t pid;
	int status = STATUS_TROUBLE;

	if (!args[0] || !args[1] || args[2] || value_read_number(args[0], 1, 1 << 22, &pid))
		return status;
	analysis_read_options(&o);
	if (!supervise_exit((pid_t)pid, args[1],
			    &(struct supervise_options){ .grace_ns = o.grace_ns,
							 .max_pause_ns = o.max_pause_ns },
			    &r, NULL)) {
		status = 0;
		if (analysis_has_findings(r.models))
			cmd_write_reports(&o, r.models, false, NULL);
		supervise_free(&r);
	}
	options_free(&o);
	return status;
}
