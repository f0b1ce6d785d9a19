/* SPDX-License-Identifier: MIT
 *
 * Which pages of a process's mappings hold anything, by /proc/PID/pagemap: never-touched memory is
 * not read (reading it would make the kernel build page tables, or allocate), and pages of private file
 * mappings that were never written are those of the file.
 *
 * Valid only as long as the process stands still.
 */
#ifndef STRAND_TARGET_PAGES_H
#define STRAND_TARGET_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "target/maps.h"
#include "target/source.h"

struct pages {
	struct extent *v; /* what holds anything, ascending, no overlaps, runs that touch joined
			   * within a mapping, never across two */
	size_t n;
	uint64_t bytes;	    /* of all of them */
	const char *unread; /* not NULL: there is memory whose content cannot be had, and why (a
			     * static sentence: "shared memory is not mapped in") */
};

/* List them for all mappings of `maps` that can hold pointers of the program's: not [vdso], [vvar],
 * devices, nor memory that is known to be a file's content. `through` is a thread that has not ended.
 * `expired` (may be NULL) is asked now and then; true ends it with ERR_TIMEOUT or the like.
 * The caller frees it with pages_free(), also after an error. */
int pages_list(pid_t through, const struct maps *maps, bool (*expired)(void *ctx), void *ctx,
	       struct pages *out, struct err *e);
void pages_free(struct pages *p);

#endif
