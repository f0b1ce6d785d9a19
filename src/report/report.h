/* SPDX-License-Identifier: MIT
 *
 * Reports: one file per format behind one struct of functions (formats.def lists them).
 * A writer only reads the model. Output is deterministic for a given model.
 */
#ifndef STRAND_REPORT_REPORT_H
#define STRAND_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "err.h"
#include "model/model.h"

struct report_options {
	bool all;	  /* list every task, not only those of findings */
	bool colour;	  /* the output is a terminal that wants colours */
	size_t max_tasks; /* cut the lists of tasks */
	const char *why;  /* id of a task to be explained; NULL: none */
};

struct report_writer {
	const char *name;	 /* as in --format=NAME */
	const char *description; /* for --help */
	/* Write the whole report of one look. Failure to write is seen by the caller with
	 * ferror(); returns a negative code for anything else. */
	int (*write)(const struct model *m, const struct report_options *o, FILE *out,
		     struct err *e);
};

/* The writer of that name, NULL if there is none. */
const struct report_writer *report_find(const char *name);

/* All writers, NULL-terminated, in the order of formats.def. */
const struct report_writer *const *report_all(void);

#endif
