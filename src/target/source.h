/* SPDX-License-Identifier: MIT
 *
 * Where memory of a process is read from, for those who must not know whether it is a stopped
 * process, a copy or a core file.
 */
#ifndef STRAND_TARGET_SOURCE_H
#define STRAND_TARGET_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct memory_source {
	/* Up to `bytes` bytes at `address` into `buf`; returns how many, from the beginning on.
	 * May be called by several threads at once. */
	size_t (*read)(void *ctx, uint64_t address, void *buf, size_t bytes);
	void *ctx;
};

static inline bool source_read(const struct memory_source *s, uint64_t address, void *buf,
			       size_t bytes)
{
	return s->read(s->ctx, address, buf, bytes) == bytes;
}

/* A run of memory, addresses of the process. */
struct extent {
	uint64_t start, end; /* first byte, one past the last */
};

/* A process that stands still, through one of its threads that has not ended. */
struct source_place {
	pid_t pid;
	int fd; /* /proc/PID/mem; -1: cannot be had */
};

void source_place_open(struct source_place *p, pid_t through);
void source_place_close(struct source_place *p);
struct memory_source source_of_place(struct source_place *p);

/* Another source that gives nothing any more once `expired` says so. */
struct source_bounded {
	struct memory_source from;
	bool (*expired)(void *ctx);
	void *ctx;
};
struct memory_source source_of_bounded(struct source_bounded *b);

/* A copy, with room for `bytes`, which are taken from the system at once: filling it must not cost more
 * time than copying does. NULL if out of memory. */
struct source_copy;
struct source_copy *source_copy_create(size_t bytes);
void source_copy_free(struct source_copy *c);
size_t source_copy_room(const struct source_copy *c);

/* Copy all runs (ascending) from another source. False if there is no room for them, if one cannot be
 * read to its end, or if `expired` (may be NULL) says so: the copy is of no use then. */
bool source_copy_fill(struct source_copy *c, const struct memory_source *from,
		      const struct extent *runs, size_t n, bool (*expired)(void *ctx), void *ctx);
struct memory_source source_of_copy(struct source_copy *c);

#endif
