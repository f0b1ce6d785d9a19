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

#endif
