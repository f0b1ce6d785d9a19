/* SPDX-License-Identifier: MIT
 *
 * What the file descriptors of another process are: files, pipes, sockets with their addresses,
 * and the kernel's own kinds (eventfd, epoll, timerfd …), in words. Read from /proc when first
 * asked for, then kept: a look asks once, whatever the number of threads in the same call.
 *
 * Nothing here stops the process or waits for a file system that has gone.
 */
#ifndef STRAND_TARGET_DESCRIPTORS_H
#define STRAND_TARGET_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DESCRIPTOR_TEXT_BYTES 144

enum descriptor_kind {
	DESCRIPTOR_UNKNOWN, /* not open, or it could not be read */
	DESCRIPTOR_FILE,
	DESCRIPTOR_PIPE, /* also a named one */
	DESCRIPTOR_SOCKET,
	DESCRIPTOR_EVENTFD,
	DESCRIPTOR_EPOLL,
	DESCRIPTOR_TIMERFD,
	DESCRIPTOR_OTHER,
};

struct descriptor {
	int number;
	enum descriptor_kind kind;
	char text[DESCRIPTOR_TEXT_BYTES]; /* "tcp 127.0.0.1:80 -> …", "/dev/pts/1"; "" unknown */
	char family[16];		  /* sockets: "tcp"; "" otherwise */
	char remote[DESCRIPTOR_TEXT_BYTES]; /* sockets: the other end; "" if there is none */
};

struct descriptors;

/* `pid` 0: of a process that is no more; nothing is known then. */
int descriptors_create(pid_t pid, struct descriptors **out);
bool descriptors_are_known(const struct descriptors *d);
void descriptors_free(struct descriptors *d);

/* Descriptor `number`; never NULL: out of memory it is one of unknown kind. Owned by `d`. */
const struct descriptor *descriptors_find(struct descriptors *d, int number);

/* The descriptors that the epoll descriptor `number` watches: their number in all, the lowest
 * `max` of them in fds[], ascending. *cut tells that there are more than were counted. */
size_t descriptors_read_watched(struct descriptors *d, int number, int *fds, size_t max, bool *cut);

/* Time until the timerfd `number` expires, in ns; false if it is not set or cannot be read. */
bool descriptors_read_timer(struct descriptors *d, int number, int64_t *left_ns);

/* What the process's time namespace adds to CLOCK_MONOTONIC and CLOCK_BOOTTIME, in ns; 0 for
 * other clocks. */
int64_t descriptors_read_clock_offset(struct descriptors *d, clockid_t clock);

#endif
