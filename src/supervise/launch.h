/* SPDX-License-Identifier: MIT
 *
 * Starting the program as if it had been started bare: the same arguments, descriptors, signals,
 * limits, process group and terminal; only the environment has the shim in it.
 */
#ifndef STRAND_SUPERVISE_LAUNCH_H
#define STRAND_SUPERVISE_LAUNCH_H

#include <signal.h>
#include <sys/types.h>

#include "err.h"
#include "supervise/supervise.h"

struct launch {
	const struct supervise_options *o;
	const char *path;	 /* of the program */
	const char *shim;	 /* to be preloaded; NULL: not into this one */
	const char *control;	 /* path of the control file */
	const char *directory;	 /* of tables */
	const sigset_t *sigmask; /* as strand was started with */
};

/* fork and exec. *pid is the program, running. ERR_NOT_EXECUTABLE if the kernel refuses it. */
int launch_start(const struct launch *l, pid_t *pid, struct err *e);

#endif
