/* SPDX-License-Identifier: MIT
 *
 * The part of a look during which the process stands still: stop it, copy what the thread reader
 * and the prover need (registers, stacks, lock words, the memory map), let it go. Everything
 * else works on the copies.
 */
#ifndef STRAND_READERS_CAPTURE_H
#define STRAND_READERS_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "readers/table.h"
#include "target/maps.h"
#include "target/snapshot.h"
#include "target/stop.h"
#include "target/target.h"

struct core;

/* What is copied of a thread's descriptor, struct pthread: its tid (at 720 in glibc 2.36) and the
 * argument of its start routine (at 1600) lie within. */
#define CAPTURE_DESCRIPTOR_BYTES 2304

struct capture {
	pid_t pid;
	pid_t through;	   /* a stopped thread: the main one may have ended */
	struct stop *stop; /* over: its registers are what remains */
	struct maps maps;
	struct snapshot *memory;
	struct table_copy *table; /* the recording side's word, of the same moment; NULL: none */
	struct err table_error;	  /* why not, if there is a table */
	pid_t relative; /* another process that shares the memory; 0: none, or not needed */
	uint64_t caught_signals; /* bit n-1: signal n has a handler */
	bool sleepers_slept;	 /* threads left asleep (target/asleep.h) did not run meanwhile */
	bool has_uring; /* an io_uring was open when every thread seemed to sleep for good */
	bool cut_short; /* the bound of the stop was reached: stacks are missing */
	int64_t pause_ns;
	int64_t monotonic_ns; /* clocks at the stop, for deadlines; TIME_UNKNOWN of a core */
	int64_t realtime_ns;

	/* Of a core (readers/capture_core.h), whose maps and memory it is made of: there is no process
	 * to ask, `through` is 0. */
	const struct core *core; /* NULL: a process */
	bool relative_unknown;	 /* another process may share the memory */
	char held_unknown[128]; /* not "": the kernel may hold pointers for the process that are not
				  * in the core, or memory is missing, and why */
};

/* What else is to be done while the process stands still, in the thread that has stopped it. */
struct capture_more {
	int (*run)(void *ctx, struct capture *c, struct err *e);
	void *ctx;
};

/* Take one, with a copy of `table` (NULL: there is none) and whatever `more` does (NULL: nothing). On
 * return, failed or not, the process runs again. */
int capture_take(const struct target *t, const struct stop_limits *limits, struct table *table,
		 const struct capture_more *more, struct capture **out, struct err *e);
void capture_free(struct capture *c);

/* Thread ids in the process's own namespace: what lock words hold. */
pid_t capture_tid_ns(const struct capture *c, size_t i);

#endif
