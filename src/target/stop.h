/* SPDX-License-Identifier: MIT
 *
 * Stop every thread of a process and let it go again: PTRACE_SEIZE, PTRACE_INTERRUPT, repeated
 * until no new thread appears.
 *
 * Invariants: threads are never left stopped, whatever way strand ends (the kernel detaches a
 * dead tracer's threads); a call that the stop interrupted goes on as if nothing had happened
 * (arch_undo_interrupt); signals that arrive meanwhile are delivered, none is lost.
 * ptrace belongs to a thread: stop_begin() to stop_end() happen in one, and what could not be
 * detached (a thread whose interrupt is still on its way) is let go when that thread ends.
 * The caller must not ignore SIGCHLD.
 */
#ifndef STRAND_TARGET_STOP_H
#define STRAND_TARGET_STOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "target/arch.h"

struct stop;

struct stop_limits {
	int64_t max_pause_ns;	/* the whole stop ends after that long */
	int64_t thread_wait_ns; /* how long one thread may take to stop after its interrupt */
	int tries;		/* how often to let go and try again when one does not */
	int64_t late_ns;	/* a call whose time limit a stop would begin anew may end later by
				 * that much: it is left asleep if its limit is longer */
};

#define STOP_LIMITS_DEFAULT                \
	{                                  \
		2000000000, 20000000, 3, 0 \
	}

enum stop_thread_state {
	STOP_THREAD_STOPPED, /* registers below are valid */
	STOP_THREAD_RUNS,    /* could not be stopped in time: in an uninterruptible call */
	STOP_THREAD_DENIED,  /* the kernel refused (a kernel helper of the process) */
	STOP_THREAD_ASLEEP,  /* not stopped, on purpose (target/asleep.h): only the registers of
			      * arch_fill_sleeper() */
	STOP_THREAD_ENDED,   /* has ended; the main thread of a process may stay like that */
};

struct stop_thread {
	pid_t tid;    /* in strand's PID namespace */
	pid_t tid_ns; /* in the process's own: the same, or see stop_translate_tids() */
	enum stop_thread_state state;
	bool signal_pending;	  /* a signal was on its way to this thread when it stopped */
	uint64_t blocked_signals; /* bit n-1: signal n */
	struct arch_regs regs;
};

/* Stop process `pid`. On success *out holds it stopped; on failure nothing is stopped. */
int stop_begin(pid_t pid, const struct stop_limits *limits, struct stop **out, struct err *e);

/* Threads in ascending order of tid; valid until stop_free(). */
size_t stop_count(const struct stop *s);
const struct stop_thread *stop_thread(const struct stop *s, size_t i);

/* Have all threads that were left asleep slept until now? Then it is as if they were stopped. */
bool stop_sleepers_slept(const struct stop *s);

/* The process lives in a PID namespace of its own: find every thread's tid_ns there (0 if it
 * cannot be known). While stopped. */
void stop_translate_tids(struct stop *s);

/* Is the stop's time used up? Whoever copies much asks now and then and then gives up. */
bool stop_expired(const struct stop *s);

/* How much of its time is left, in ns; INT64_MAX if it has none (a core). */
int64_t stop_left_ns(const struct stop *s);

/* Vector and extended registers (NT_X86_XSTATE) of thread i into `buf`; returns the bytes. */
size_t stop_read_vector(const struct stop *s, size_t i, void *buf, size_t size);

/* The signals that stopped thread i has not got yet, oldest first: from the `from`-th on, up to `n`
 * of them. `of_process`: those sent to the process as a whole, of which every thread tells the same.
 * Returns how many, 0 at the end, negative if the kernel does not tell. In the thread that took
 * the stop. */
long stop_read_signals(const struct stop *s, size_t i, bool of_process, size_t from, siginfo_t *v,
		       size_t n);

/* The signal that thread i was just getting when it stopped; false: none. Likewise. */
bool stop_read_signal_at_hand(const struct stop *s, size_t i, siginfo_t *out);

/* Let all threads go. Returns how long the stop lasted, in ns. Idempotent. */
int64_t stop_end(struct stop *s);

/* Wait for threads that were interrupted and have not stopped yet, and let each go at once: one
 * that merely had no turn on a processor would otherwise show the interruption (EINTR). Those in
 * an uninterruptible call are not waited for. In the thread that took the stop. */
void stop_collect_stragglers(struct stop *s);

/* stop_end() if need be, and free. */
void stop_free(struct stop *s);

/* To be called now and then by another thread while one takes a stop of process `pid`. When a
 * thread of the process calls exec, the kernel waits until the tracer has reaped the others,
 * while the tracer may wait for the exec to end, inside PTRACE_SEIZE: this reaps them. */
void stop_reap_dead(pid_t pid);

#endif
