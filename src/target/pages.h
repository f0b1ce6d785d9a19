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

/* List them for all mappings of `maps` that can hold pointers of the program's, whatever their
 * protection (those not readable cannot be read by process_vm_readv(2), but by /proc/PID/mem):
 *
 *   private memory                 pages that were touched; the kernel's page of zeros is none
 *   private mappings of files      pages that were written to: the others are the file's content
 *   shared memory and files        pages that are mapped in. What is not: `unread`, unless it is
 *                                  mapped in at another place, or a hole of the file, or its
 *                                  content holds nothing like an address of the process (a few
 *                                  MB are read for that, if the file can be opened, is local and
 *                                  in memory), or the file has not been changed since the process
 *                                  began (those on a disk)
 *   files mapped shared, read-only as the last; what is not mapped in is taken for the file's
 *                                  content, unless that is mere memory (memfd, /dev/shm ...)
 *   devices                        none; writable and shared: `unread`
 *   [vdso], [vvar], rings of the kernel (anon_inode:), strand's own tables: none
 *
 * `through` is a thread that has not ended. `expired` (may be NULL) is asked now and then; true
 * ends it with ERR_TIMEOUT. The caller frees it with pages_free(), also after an error. */
int pages_list(pid_t through, const struct maps *maps, bool (*expired)(void *ctx), void *ctx,
	       struct pages *out, struct err *e);
void pages_free(struct pages *p);

#endif
