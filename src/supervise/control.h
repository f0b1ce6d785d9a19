/* SPDX-License-Identifier: MIT
 *
 * The supervisor's end of the wire: the control file that the shims of all supervised processes
 * map, the doorbell in it, and the heartbeats of the tables that are followed. Doorbell and
 * heartbeats have a thread of their own, so that a process that is held knows that somebody is
 * there however long a look takes.
 */
#ifndef STRAND_SUPERVISE_CONTROL_H
#define STRAND_SUPERVISE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "readers/table.h"

struct control;

/* Make the control file in `directory`. */
int control_create(const char *directory, bool children, struct control **out, struct err *e);

/* The file is removed, the thread ended. */
void control_free(struct control *c);

const char *control_path(const struct control *c);
volatile struct wire_control *control_header(const struct control *c);

/* Begin to listen and to beat (control_create() starts no thread, for what forks next). `c` may be
 * one without a file, made with control_create_bare(). */
int control_start(struct control *c, struct err *e);

/* For the heartbeats alone. */
int control_create_bare(struct control **out, struct err *e);

/* A descriptor that is readable when the doorbell has rung; control_clear() makes it silent. */
int control_descriptor(const struct control *c);
void control_clear(struct control *c);

/* Beat for this table from now on; until control_forget() it must stay open. */
int control_follow(struct control *c, struct table *t);
void control_forget(struct control *c, struct table *t);

#endif
