/* SPDX-License-Identifier: MIT
 *
 * The little of io_uring that the test programs need, by raw system calls: one ring, one entry
 * submitted at a time and none of the completions read. uring_open() ends the program with 77,
 * which the harness takes for "not here", where the kernel does not let it have a ring.
 */
#ifndef URING_H
#define URING_H

#include "prog.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct uring {
	int fd;
	size_t ring_bytes, entry_bytes;
	char *ring;
	struct io_uring_sqe *entries;
	struct io_uring_params params;
};

static inline void uring_open(struct uring *uring)
{
	memset(uring, 0, sizeof(*uring));
	uring->fd = syscall(SYS_io_uring_setup, 8, &uring->params);
	if (uring->fd < 0)
		_exit(77);
	PROG_CHECK(uring->params.features & IORING_FEAT_SINGLE_MMAP);
	uring->ring_bytes = uring->params.sq_off.array +
			    uring->params.sq_entries * sizeof(unsigned) +
			    uring->params.cq_entries * sizeof(struct io_uring_cqe) + 4096;
	uring->entry_bytes = uring->params.sq_entries * sizeof(struct io_uring_sqe);
	uring->ring = mmap(NULL, uring->ring_bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, uring->fd, IORING_OFF_SQ_RING);
	uring->entries = mmap(NULL, uring->entry_bytes, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_POPULATE, uring->fd, IORING_OFF_SQES);
	PROG_CHECK(uring->ring != MAP_FAILED && uring->entries != MAP_FAILED);
}

/* What was submitted stays with the kernel. */
static inline void uring_unmap(struct uring *uring)
{
	PROG_CHECK(munmap(uring->ring, uring->ring_bytes) == 0);
	PROG_CHECK(munmap(uring->entries, uring->entry_bytes) == 0);
}

/* Submits count entries (linked where their flags say so); false if the kernel took fewer. */
static inline bool uring_submit(struct uring *uring, const struct io_uring_sqe *entry,
				unsigned count)
{
	unsigned *tail = (unsigned *)(uring->ring + uring->params.sq_off.tail);
	unsigned *array = (unsigned *)(uring->ring + uring->params.sq_off.array);
	unsigned mask = *(unsigned *)(uring->ring + uring->params.sq_off.ring_mask);

	for (unsigned i = 0; i < count; i++) {
		unsigned slot = (*tail + i) & mask;

		uring->entries[slot] = entry[i];
		array[slot] = slot;
	}
	__atomic_store_n(tail, *tail + count, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, uring->fd, count, 0, 0, NULL, 0) == (long)count;
}

#endif
