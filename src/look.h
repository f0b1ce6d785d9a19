/* SPDX-License-Identifier: MIT
 *
 * One look at a process, end to end: stop it, copy what the proof needs, let it go, read the
 * waits, prove, name the stacks, make the findings.
 */
#ifndef STRAND_LOOK_H
#define STRAND_LOOK_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "model/model.h"

struct look_options {
	int64_t max_pause_ns;
	const char *moment; /* DESIGN 7: "attach", … */
};

/* Look at process `pid`. On success *out is the judged model, the caller's (model_free()). On
 * failure the process is as it was. Must not be called while SIGCHLD is ignored. */
int look_at_process(pid_t pid, const struct look_options *o, struct model **out, struct err *e);

#endif
