/* SPDX-License-Identifier: MIT
 *
 * What the kernel holds for a process and may give back to it: data of epoll entries, values of
 * timers and of signals on their way, eventfd counters, unread bytes of pipes and sockets, messages,
 * content of files that are mere memory (memfd). Any of it may be a pointer, so all of it counts as
 * roots.
 *
 * Nothing is consumed and nothing of the process's files is changed. To be used while it is stopped.
 */
#ifndef STRAND_READERS_HELD_H
#define STRAND_READERS_HELD_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "readers/capture.h"

struct held_piece {
	char what[64]; /* "epoll data of descriptor 5", "unread bytes of pipe 7" */
	size_t offset; /* in `bytes` below */
	size_t count;  /* bytes; a word may stand at any of them */
};

struct held {
	uint8_t *bytes;
	size_t byte_count;
	struct held_piece *pieces;
	size_t piece_count;
	char unread[128]; /* not "": something is held that cannot be read, and what it is
			   * ("messages of the queue at descriptor 9"): nothing that needs the
			   * heap may be proved */
};

/* Collect it, in the thread that took the stop. Fails for lack of memory only; what takes too long is
 * unread. The caller frees with held_free(), also after an error. */
int held_read(const struct capture *c, struct held *out, struct err *e);
void held_free(struct held *h);

#endif
