/* SPDX-License-Identifier: MIT
 *
 * A process seen from outside: who it is, whether strand may look at it, and the paths by which
 * its files are reached from here (it may live in another mount or PID namespace).
 */
#ifndef STRAND_TARGET_TARGET_H
#define STRAND_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct target {
	pid_t pid;
	pid_t through; /* a thread through which /proc shows memory, files and program: the main
			* one, or another if that has ended before them */
	pid_t ppid;
	uint64_t start_ticks; /* /proc/PID/stat field 22: with pid, the identity of the process */
	char *exe;	      /* path as the process sees it; NULL if unknown */
	char **argv;	      /* NULL-terminated */
	bool forked;	      /* and has not called exec since: locks in its memory may name
				  * threads of the process it was forked from */
	bool renumbered;      /* forked, and an ancestor of the same program lives in another
				  * PID namespace: locks may name threads by numbers of that */
	int pid_namespace_depth; /* number of PID namespaces below strand's: 0 the same */
};

/* Who is `pid`? Fails in the words of err.def for what cannot be looked at: gone, a zombie, a
 * kernel thread, a thread id, strand itself, held by another tracer, another user's. */
int target_open(pid_t pid, struct target **out, struct err *e);
void target_close(struct target *t);

/* Turn a refusal of ptrace (errno of PTRACE_SEIZE) into the error that says why. */
int target_explain_refusal(pid_t pid, int sys_errno, struct err *e);

/* Is the process that `t` describes still there (not a successor with its pid)? */
bool target_is_there(const struct target *t);

/* The signals that have a handler now (bit n-1: signal n); all of them if it cannot be known. */
uint64_t target_read_caught_signals(const struct target *t);

/* Does the process have an io_uring open? `through` is one of its threads that has not ended. */
bool target_has_uring(pid_t through);

/* What /proc tells of one thread. */
struct target_thread {
	char name[32];
	char state;	      /* R S D T t Z X I */
	uint64_t start_ticks; /* birth, in clock ticks since boot */
	bool kernel_worker;   /* of io_uring and the like: runs no code of the program's */
};
int target_read_thread(pid_t pid, pid_t tid, struct target_thread *out);

/* The thread's id in the process's own PID namespace (last of NSpid), 0 if unknown. */
pid_t target_read_tid_ns(pid_t pid, pid_t tid);

#endif
