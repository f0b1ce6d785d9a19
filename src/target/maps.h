/* SPDX-License-Identifier: MIT
 *
 * The memory map of a process, as /proc/PID/maps gives it: sorted by address, no overlaps.
 */
#ifndef STRAND_TARGET_MAPS_H
#define STRAND_TARGET_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct mapping {
	uint64_t start;	 /* first byte */
	uint64_t end;	 /* one past the last byte */
	uint64_t offset; /* in the file, bytes */
	uint64_t inode;	 /* 0: no file behind it */
	uint32_t dev_major, dev_minor;
	bool read, write, exec, shared;
	const char *path; /* "" for none; "[stack]", "[vdso]" …; owned by the struct maps */
};

struct maps {
	struct mapping *v;
	size_t n;
	char *text; /* what the paths point into */
};

/* Read the map of process `pid`. The caller frees it with maps_free(), also after an error. */
int maps_read(pid_t pid, struct maps *out, struct err *e);

/* Parse the text of a maps file. Takes ownership of `text` (malloc'd, terminated), also on
 * failure. Lines that are not of the known form make it fail with ERR_BAD_FORMAT. */
int maps_parse(char *text, struct maps *out, struct err *e);

/* The mapping that holds `address`, or NULL. */
const struct mapping *maps_find(const struct maps *m, uint64_t address);

void maps_free(struct maps *m);

#endif
