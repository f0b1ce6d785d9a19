/* SPDX-License-Identifier: MIT
 *
 * What the files of this reader share: what has been collected, and how more is added.
 *   held_signals.c      timers, signals on their way
 *   held_descriptors.c  tables of descriptors, epoll, eventfd, message queues of POSIX
 *   held_files.c        content of files that are mere memory
 *   held_queues.c       unread bytes of pipes and sockets
 *   held_terminals.c    pseudo terminals
 *   held_messages.c     message queues and shared memory of System V
 *   held.c              puts these together
 */
#ifndef STRAND_READERS_HELD_PRIVATE_H
#define STRAND_READERS_HELD_PRIVATE_H

#include <stdbool.h>

#include "readers/held.h"

/* Of everything together: a look is not for copying files. */
#define HELD_MAX_BYTES ((size_t)32 << 20)

struct held_work {
	const struct capture *c;
	struct held *out;
	size_t byte_room, piece_room;
};

/* Add a piece, named by the format. Returns 0 or ERR_NOMEM. Beyond HELD_MAX_BYTES it is unread. */
int held_add(struct held_work *w, const void *bytes, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Room for `n` bytes more, to be filled by the caller and then added by held_add_filled(). NULL: no
 * memory, or more than HELD_MAX_BYTES. Valid until the next call of this module. */
uint8_t *held_make_room(struct held_work *w, size_t n);
int held_add_filled(struct held_work *w, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Something is held that cannot be read. The first one is kept. */
void held_set_unread(struct held_work *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Shall no more be read: out of time, or it does not matter any more? */
bool held_is_over(struct held_work *w);

/* Each returns 0 or ERR_NOMEM. */
int held_read_timers(struct held_work *w);
int held_read_signals(struct held_work *w);
int held_read_descriptors(struct held_work *w);
int held_read_messages(struct held_work *w);

/* -- descriptors ------------------------------------------------------------------------------ */

enum held_kind {
	HELD_PIPE,
	HELD_SOCKET,
	HELD_EPOLL,
	HELD_EVENTFD,
	HELD_QUEUE,
	HELD_FILE,   /* that is mere memory */
	HELD_MASTER, /* of a pseudo terminal */
	HELD_TERMINAL,
};

struct held_descriptor {
	enum held_kind kind;
	int number;
	uint64_t device,
		inode; /* of pipes and files; of sockets the inode only; of terminals their number
				 * as the inode */
};

/* The descriptors of one table that may hold something: by kind, then file, then number. */
struct held_table {
	pid_t tid; /* a thread that has it */
	int pidfd; /* to take descriptors from; -1: not possible */
	struct held_descriptor *v;
	size_t n, room;
};

/* A duplicate of a descriptor, the caller's to close. -1: it cannot be had, which is said; or there
 * is nothing to be had. */
int held_take(struct held_work *w, const struct held_table *t, int number);

int held_read_pipes(struct held_work *w, const struct held_table *t);
int held_read_sockets(struct held_work *w, const struct held_table *t);
int held_read_files(struct held_work *w, const struct held_table *t);
void held_check_terminals(struct held_work *w, const struct held_table *t);

#endif
