/* SPDX-License-Identifier: MIT
 *
 * What a thread inside a system call other than futex waits for, in words and in the model's
 * terms: "recv(12) tcp 127.0.0.1:80 -> 127.0.0.1:41822", "read(3) pipe:[4711]",
 * "epoll_wait(5)", "nanosleep", "wait4(child 12)".
 */
#ifndef STRAND_READERS_IO_H
#define STRAND_READERS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/model.h"
#include "target/arch.h"
#include "target/snapshot.h"

struct io_names;

/* Descriptor and socket names of one process, read when first needed and kept for the look. */
int io_names_create(pid_t pid, struct io_names **out);
void io_names_free(struct io_names *n);

/* Memory that io_describe() will want to read for this context (poll sets, timespecs): ask for
 * it in the snapshot while the process is stopped. */
int io_want_memory(const struct arch_regs *regs, struct snapshot *snap);

struct io_wait {
	enum wait_op op;       /* OP_IO, OP_SLEEP or OP_OTHER */
	char text[160];	       /* as above, printable */
	enum object_kind kind; /* OBJECT_PIPE, OBJECT_EVENTFD, OBJECT_OTHER; OBJECT_NONE */
	bool has_deadline;
	int64_t deadline_left_ns; /* at `now`; TIME_UNKNOWN if it cannot be known */
	int64_t duration_ns;	  /* the whole of a relative time; TIME_UNKNOWN */
};

/* Describe the call that `regs` is inside. `number` is the call's number after a restarted call
 * has been traced back to what it was. */
void io_describe(struct io_names *names, long number, const struct arch_regs *regs,
		 const struct snapshot *snap, struct io_wait *out);

/* "futex", "read"; "syscall_999" written into buf for unknown ones. */
const char *io_syscall_name(long number, char *buf, size_t size);

#endif
