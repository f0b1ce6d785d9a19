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
#include "readers/table.h"

struct look_options {
	int64_t max_pause_ns;
	enum moment moment;
	struct table *table; /* the process's own, if there is one; NULL: none. At MOMENT_EXIT its
			      * header tells who ends the process */
};

/* Look at process `pid`. On success *out is the judged model, the caller's (model_free()). On
 * failure the process is as it was. Must not be called while SIGCHLD is ignored. */
int look_at_process(pid_t pid, const struct look_options *o, struct model **out, struct err *e);

/* The same of a process that is no more but for a core file: the program that ran is `exe` (NULL: what
 * stands where it was), all files are looked for below `sysroot` (NULL: /). */
int look_at_core(const char *path, const char *exe, const char *sysroot, struct model **out,
		 struct err *e);

/* What the table tells of a process that ended without an exit look: creators and waits by name,
 * nothing proved. */
int look_at_dead(pid_t pid, struct table *table, struct model **out, struct err *e);

/* The process has ended since the look of `m` at its exit: what ended or was joined meanwhile, by
 * the table as it is now, is no longer alive; nor is it unjoined, unless it has finished and
 * nobody has joined it. Findings are made again. */
int look_drop_ended(struct model *m, struct table *table, struct err *e);

#endif
