/* SPDX-License-Identifier: MIT
 *
 * The supervisor: starts a program with the shim in front, follows it and its children, notices
 * when they are quiet, deadlocked, too slow or about to end, and takes the looks.
 *
 * It never gets in the way: signals and the terminal are the program's, whatever happens to strand
 * the program goes on, and nothing is held once exit handlers run.
 */
#ifndef STRAND_SUPERVISE_SUPERVISE_H
#define STRAND_SUPERVISE_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "err.h"
#include "model/model.h"

struct supervise_result;

struct supervise_options {
	char *const *argv;  /* the program and its arguments, NULL-terminated */
	int64_t timeout_ns; /* 0: none */
	int64_t grace_ns;
	int64_t max_pause_ns;
	bool stop_on_deadlock; /* end a program in which no live task is left */
	bool children;	       /* follow fork and exec */

	/* What strand changed for itself and the program must have as it was. */
	const struct rlimit *files; /* RLIMIT_NOFILE; NULL: unchanged */
	bool child_signal_ignored;

	/* Called when no live task is left in a process that is not ended for it: what is known so
	 * far, the callee's to read only. NULL: nobody wants to know. */
	void (*report)(const struct supervise_result *r, void *context);
	void *context;
};

/* How it came to its end. */
enum supervise_end {
	SUPERVISE_ENDED,    /* by itself, or by a signal that was not strand's */
	SUPERVISE_TIMEOUT,  /* ended by strand: --timeout */
	SUPERVISE_DEADLOCK, /* ended by strand: no live task was left */
};

struct supervise_result {
	enum supervise_end end;
	int wait_status;      /* of the first program, as waitpid() gives it */
	struct model *models; /* the first program's (its last image that was looked at), then one
			       * per further image that was judged (model->next); never NULL: `seen`
			       * none if it was not judged */
	char *blind;	      /* not NULL: the first program could not be looked at, and why */
};

/* Run it to its end. On success *out is the caller's (supervise_free()). Errors before the program
 * began: ERR_NOT_FOUND, ERR_NO_INTERPRETER, ERR_NOT_EXECUTABLE, …; it is not running then. Not in a process with
 * threads of its own. */
int supervise_run(const struct supervise_options *o, struct supervise_result *out, struct err *e);
void supervise_free(struct supervise_result *r);

/* The analyser that the shim starts itself when nobody supervises: watch over the exit of process
 * `pid`, whose table is at `path`, until it has ended. Of `o` only the times count. */
int supervise_exit(pid_t pid, const char *path, const struct supervise_options *o,
		   struct supervise_result *out, struct err *e);

#endif
