/* SPDX-License-Identifier: MIT
 *
 * Reading another process's memory in batches with process_vm_readv(2). Never writes, never
 * stops anybody. What cannot be read is reported as read short, never as an error of the whole.
 */
#ifndef STRAND_TARGET_MEMORY_H
#define STRAND_TARGET_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One piece to be read. `got` is set to the number of bytes read from its beginning. */
struct memory_piece {
	uint64_t address;
	void *buffer; /* at least `bytes` long, the caller's */
	size_t bytes;
	size_t got;
};

/* Read all pieces; returns how many were read whole. errno of the last failure in *failed
 * (0 if none; EPERM and ESRCH matter to callers). */
size_t memory_read_pieces(pid_t pid, struct memory_piece *v, size_t n, int *failed);

/* Read one piece; returns the bytes read from its beginning. */
size_t memory_read(pid_t pid, uint64_t address, void *buffer, size_t bytes);

#endif
