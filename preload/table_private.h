/* SPDX-License-Identifier: MIT
 *
 * The mapped segments, between the files that make up the table. Addresses are published before the
 * count that makes them reachable, and never change; a forked child starts over.
 */
#ifndef STRAND_PRELOAD_TABLE_PRIVATE_H
#define STRAND_PRELOAD_TABLE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

struct segment {
	uint8_t *at;
	uint32_t bytes;
	uint64_t offset; /* in the file */
};

/* The segments of one kind, in the file's order. */
struct segments {
	struct segment list[WIRE_SEGMENTS];
	uint32_t count;
};

extern RECORD_HIDDEN struct segments table_tasks;
extern RECORD_HIDDEN struct segments table_stacks;

RECORD_HIDDEN void tasks_reset(void);
/* Are few records left that were never used? */
RECORD_HIDDEN bool tasks_scarce(void);

RECORD_HIDDEN void stacks_reset(void);
RECORD_HIDDEN bool stacks_scarce(void);

#endif
