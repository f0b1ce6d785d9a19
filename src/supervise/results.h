/* SPDX-License-Identifier: MIT
 *
 * What came of it all: the models of all images that were judged, in the order of the report, and
 * why the first program could not be looked at, if so. Internal to the supervisor.
 */
#ifndef STRAND_SUPERVISE_RESULTS_H
#define STRAND_SUPERVISE_RESULTS_H

#include "supervise/follow.h"
#include "supervise/supervise.h"
#include "wire.h"

struct results_input {
	char *const *argv;
	const char *exe;
	const char *why_no_shim; /* NULL: it should have been loaded */
	volatile const struct wire_control *control;
};

/* Everybody has ended or is left alone; r->wait_status and r->end are set. Takes the models over.
 *
 * The top is the last image of the first program that was looked at, or, if none was, an empty
 * model; its earlier images and those of other processes follow. */
int results_gather(struct follow *f, const struct results_input *in, struct supervise_result *r,
		   struct err *e);

/* The same while the program runs, from the last look at each process. The models stay the
 * images': give them back before anything else happens. */
int results_gather_now(struct follow *f, const struct results_input *in,
		       struct supervise_result *r);
void results_return(struct supervise_result *r);

#endif
