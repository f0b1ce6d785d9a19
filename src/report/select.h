/* SPDX-License-Identifier: MIT */
/*
 * Which tasks a report lists: all or those of findings, at most --max-tasks of them. All formats
 * ask here, so that they agree. Counts of verdicts are never cut: a gate must not depend on how
 * much is listed.
 */
#ifndef STRAND_REPORT_SELECT_H
#define STRAND_REPORT_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"
#include "report/report.h"

struct selection {
	const struct task **tasks; /* ascending, as in the model */
	size_t count;
	size_t left_out;	     /* tasks that --max-tasks cut */
	size_t left_out_of_findings; /* the same for the lists of findings, summed up */
};

/* Tasks of findings come first, then those that others hang on, then the rest. Returns 0 or
 * ERR_NOMEM; selection_free() in any case. */
int selection_make(const struct model *m, const struct report_options *o, struct selection *out);
void selection_free(struct selection *s);

/* Tasks of this verdict (the runtime's own are never judged). */
size_t selection_count_verdict(const struct model *m, enum verdict v);

#endif
