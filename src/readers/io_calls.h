/* SPDX-License-Identifier: MIT
 *
 * The table of system calls and what of their arguments lies in memory. Private to the io reader.
 */
#ifndef STRAND_READERS_IO_CALLS_H
#define STRAND_READERS_IO_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "readers/io.h"
#include "target/descriptors.h"

/* How a wait in a call is described. */
enum io_class {
	IO_CLASS_NAME,	     /* by its name; nothing is known of what it waits for */
	IO_CLASS_EVENT,	     /* by its name; it waits for something outside */
	IO_CLASS_DESCRIPTOR, /* argument 0 */
	IO_CLASS_RECEIVE,    /* the same; plain "recv" if no address is asked for */
	IO_CLASS_SEND,	     /* the same; plain "send" if no address is given */
	IO_CLASS_CONNECT,    /* argument 0, address in 1, its bytes in 2 */
	IO_CLASS_PATH_0,     /* path in argument 0 */
	IO_CLASS_PATH_1,     /* path in argument 1 */
	IO_CLASS_POLL,	     /* struct pollfd in argument 0, their number in 1 */
	IO_CLASS_SELECT,     /* number in argument 0, sets in 1, 2, 3 */
	IO_CLASS_EPOLL,	     /* argument 0 */
	IO_CLASS_SIGNALS,    /* signal set in argument 0 */
	IO_CLASS_SLEEP,
	IO_CLASS_CLOCK_SLEEP,
	IO_CLASS_WAIT_CHILD, /* pid in argument 0, as wait4 has it */
	IO_CLASS_WAIT_ID,    /* kind of id in argument 0, id in 1 */
	IO_CLASS_SEMAPHORES, /* System V set in argument 0 */
	IO_CLASS_MESSAGES,   /* System V queue in argument 0 */
	IO_CLASS_FUTEXES,    /* number of words in argument 1 */
};

/* What ends a call by itself; `argument` of struct io_call says where that stands. */
enum io_time {
	IO_TIME_NEVER,
	IO_TIME_MILLISECONDS,	/* an int; negative: never */
	IO_TIME_TIMESPEC,	/* relative; NULL: never */
	IO_TIME_TIMESPEC_LEFT,	/* the same; a stop writes what is left of it there */
	IO_TIME_TIMEVAL_LEFT,	/* the same in microseconds */
	IO_TIME_UNTIL_REALTIME, /* a point of CLOCK_REALTIME; NULL: never */
	IO_TIME_UNTIL_CLOCK,	/* a point of the clock in the next argument; NULL: never */
	IO_TIME_SLEEP,		/* request, and behind it where a stop writes what is left */
	IO_TIME_CLOCK_SLEEP,	/* the same, clock and flags before it */
	IO_TIME_EXTENDED,	/* of io_uring_enter, if its flags say that there is one */
};

struct io_call {
	const char *name; /* NULL: no call of that number is known */
	enum io_class class;
	enum io_time time;
	int argument;
};

/* Never NULL. */
const struct io_call *io_call_find(long number);

#define IO_MAX_POLLED	     8	  /* struct pollfd looked at */
#define IO_MAX_SELECTED	     1024 /* descriptors: what a struct fd_set holds */
#define IO_MAX_PATH_BYTES    128
#define IO_MAX_ADDRESS_BYTES 128 /* struct sockaddr_storage */

/* Bytes that the kernel reads of one set of select(2). */
size_t io_select_bytes(const struct arch_regs *regs);

/* Set has_deadline, deadline_left_ns and duration_ns. */
void io_read_time(struct descriptors *d, const struct io_call *call, const struct arch_regs *regs,
		  const struct snapshot *snap, struct io_wait *out);

#endif
