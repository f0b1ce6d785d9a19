/* SPDX-License-Identifier: MIT
 *
 * Signals while a program is supervised. strand blocks what it must not die of and reads it from a
 * descriptor; the program is started with the mask that strand was started with.
 *
 * From the terminal the program gets its signals itself, being in the same process group; those
 * that somebody sent to strand alone are handed on.
 */
#ifndef STRAND_SUPERVISE_SIGNALS_H
#define STRAND_SUPERVISE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

struct signals {
	int fd;
	sigset_t before; /* the mask as it was */
};

int signals_begin(struct signals *s, struct err *e);
/* The mask as it was again; what was not read is dropped. */
void signals_end(struct signals *s);

struct signals_news {
	int number;
	bool asks_to_end; /* TERM, INT, HUP: a look is wanted first */
	bool pass_on;	  /* the program has not got it */
};

/* The next one; false if there is none. Job control is dealt with here: `program` stops, strand
 * stops; strand is continued, so is the program. */
bool signals_read(const struct signals *s, pid_t program, struct signals_news *out);

#endif
